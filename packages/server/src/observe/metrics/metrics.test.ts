import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Settlement } from '../settlement.ts';
import { metricRows, RequestCounts, scrape } from './index.ts';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

function settlement(more: Partial<Settlement> & { readonly path?: string } = {}): Settlement {
  const { path = '/v1/messages', ...fields } = more;
  const given: Partial<Settlement> = {
    outcome: 'complete',
    status: 200,
    bytes: 10,
    durationMs: 40,
    firstByteMs: 20,
    attempts: 1,
    target: 'local/llama',
    estimated: false,
    usage: { input: 3, cacheRead: 2, cacheWrite: 0, cacheWriteHour: 0, output: 5, reasoning: 1 },
    cost: 1_500_000,
    waitedMs: 0,
    ownMs: 0.2,
    ...fields,
  };
  // The counts read nothing else of a request than its path.
  return { ...given, request: { path } } as unknown as Settlement;
}

const counts = (): RequestCounts =>
  new RequestCounts({ isListed: (name) => name === 'local/llama' });

async function text(given: RequestCounts): Promise<string> {
  return scrape([(sheet) => given.write(sheet)]);
}

describe('counts of requests', () => {
  test('a settled request is in every metric that it belongs to', async () => {
    const given = counts();
    given.settled(settlement());
    given.settled(settlement({ waitedMs: 700, ownMs: 0.03, cost: 500_000 }));
    const lines = (await text(given)).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'postern_requests_total{route="/v1/messages",status="2xx"} 2',
        'postern_request_duration_seconds_bucket{route="/v1/messages",le="0.025"} 0',
        'postern_request_duration_seconds_bucket{route="/v1/messages",le="0.05"} 2',
        'postern_request_duration_seconds_bucket{route="/v1/messages",le="+Inf"} 2',
        'postern_request_duration_seconds_sum{route="/v1/messages"} 0.08',
        'postern_request_duration_seconds_count{route="/v1/messages"} 2',
        'postern_overhead_seconds_bucket{le="0.00005"} 1',
        'postern_overhead_seconds_bucket{le="0.00025"} 2',
        'postern_queue_wait_seconds_count 1',
        'postern_model_requests_total{model="local/llama",outcome="complete"} 2',
        'postern_model_tokens_total{model="local/llama",kind="output"} 10',
        'postern_model_cost_usd_total{model="local/llama"} 0.002',
        'postern_time_to_first_token_seconds_count{model="local/llama"} 2',
        'postern_answer_bytes_total 20',
      ]),
    );
  });

  test('a refusal counts by its code, one that no handler saw by its listener', async () => {
    const given = counts();
    const refusal = { code: 'model_not_found' as const, message: 'x' };
    given.settled(
      settlement({ refusal, outcome: 'refused', status: 404, target: undefined, usage: undefined }),
    );
    given.refused({ listener: 'gateway', code: 'malformed_http' });
    const lines = await text(given);
    expect(lines).toContain('postern_refusals_total{reason="model_not_found"} 1\n');
    expect(lines).toContain(
      'postern_listener_refusals_total{listener="gateway",reason="malformed_http"} 1\n',
    );
    expect(lines).toContain('postern_requests_total{route="/v1/messages",status="4xx"} 1\n');
  });

  test('10,000 hostile paths and models add one series of each', async () => {
    const given = counts();
    given.settled(settlement());
    const hostile = (i: number): string => `x"} 1\n# evil ${i}\\`;
    given.settled(settlement({ path: `/${hostile(-1)}`, target: `local/${hostile(-1)}` }));
    const before = (await text(given)).split('\n').length;
    for (let i = 0; i < 10_000; i += 1)
      given.settled(settlement({ path: `/${hostile(i)}`, target: `local/${hostile(i)}` }));
    const after = await text(given);
    expect(after.split('\n')).toHaveLength(before);
    expect(after).not.toContain('evil');
    expect(after).toContain('postern_model_requests_total{model="other",outcome="complete"} 10001');
    expect(after).toContain('postern_requests_total{route="other",status="2xx"} 10001');
  });

  test('verdicts are counted, and their number is bounded', async () => {
    const given = counts();
    for (let i = 0; i < 100; i += 1) given.appraised(`verdict-${i}`);
    given.appraised('verdict-1');
    const page = await text(given);
    expect(page).toContain('postern_attestation_results_total{verdict="verdict-1"} 2\n');
    expect(page).toContain('postern_attestation_results_total{verdict="other"} 36\n');
  });

  test('a catalogue of any length has at most 512 models of its own', async () => {
    const given = new RequestCounts({ isListed: () => true });
    for (let i = 0; i < 2_000; i += 1) given.settled(settlement({ target: `local/m${i}` }));
    const found = [...(await text(given)).matchAll(/postern_model_cost_usd_total\{/g)];
    expect(found).toHaveLength(512);
  });
});

describe('the text', () => {
  test('names have the prefix, counters and units their suffixes', () => {
    for (const [name, { type, labels, help }] of Object.entries(metricRows)) {
      expect(name).toMatch(/^postern_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(name).not.toMatch(/_(ms|milliseconds|kb|mb)(_|$)/);
      expect(new Set(labels).size).toBe(labels.length);
      expect(help).toMatch(/^[A-Z0-9].*[^.]$/);
    }
  });

  test('whatever a label holds stays inside its quotation marks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), async (label) => {
        const page = await scrape([(sheet) => sheet.put('postern_refusals_total', 1, label)]);
        const lines = page.slice(0, -1).split('\n');
        expect(lines).toHaveLength(3);
        const quoted = /^postern_refusals_total\{reason="((?:[^"\\]|\\.)*)"\} 1$/s.exec(
          lines[2] ?? '',
        )?.[1];
        const back = quoted?.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c));
        expect(back).toBe(label);
      }),
      { numRuns: 60 },
    );
  });

  test('a source that forgets its bound is cut', async () => {
    const page = await scrape([
      (sheet) => {
        for (let i = 0; i < 5_000; i += 1) sheet.put('postern_refusals_total', 1, `r${i}`);
      },
    ]);
    expect(page.split('\n')).toHaveLength(2_000 + 3);
  });

  test.skipIf(!hasPromtool)(
    'promtool has nothing to say about any metric (Debian: prometheus)',
    async () => {
      const given = counts();
      given.settled(settlement());
      given.settled(settlement({ path: '/"\n', target: 'local/"\n' }));
      const page = await scrape([
        (sheet) => given.write(sheet),
        (sheet) => {
          for (const [name, { type, labels }] of Object.entries(metricRows)) {
            // The keys of the table are its names.
            if (type !== 'histogram' && !name.startsWith('postern_model') && !isWritten(name))
              sheet.put(name as keyof typeof metricRows, 1.5, ...labels.map(() => 'a'));
          }
        },
      ]);
      const checked = spawnSync('promtool', ['check', 'metrics'], {
        input: page,
        encoding: 'utf8',
      });
      expect(checked.stderr + checked.stdout).toBe('');
      expect(checked.status).toBe(0);
    },
  );
});

/** By the counts of requests already. */
function isWritten(name: string): boolean {
  return ['requests', 'estimated_requests', 'answer_bytes'].includes(
    name.replace(/^postern_(.*)_total$/, '$1'),
  );
}

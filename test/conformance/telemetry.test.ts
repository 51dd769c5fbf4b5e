import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { metricRows } from '@postern/server/observe/metrics';
import { afterEach, describe, expect, test } from 'vitest';
import { newFolder } from '../e2e/process.ts';
import type { ScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import type { TestGateway, TestGatewayOptions } from './gateway.ts';
import { keysAsTags, startGateway } from './gateway.ts';

const hasPromtool = spawnSync('promtool', ['--version']).status === 0;
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const policy = JSON.stringify({
  tagOwners: { 'tag:key': [], 'tag:scraper': [], 'tag:gateway': [] },
  grants: [
    {
      src: ['tag:key'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
    {
      src: ['tag:scraper'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/admin': [{ tools: ['metrics.read'] }] },
    },
  ],
});

async function gateway(options: TestGatewayOptions): Promise<TestGateway> {
  const config = { identities: keysAsTags('scraper'), ...options.config };
  const started = await startGateway({ ...options, config, policy });
  closers.push(() => started.stop());
  return started;
}

async function upstream(): Promise<ScriptedUpstream> {
  const started = await startScriptedUpstream();
  closers.push(() => started.close());
  return started;
}

function scrapeSocket({ stateDir }: TestGateway): Promise<string> {
  return new Promise((resolve, reject) => {
    const socketPath = path.join(stateDir, 'run', 'control.sock');
    http
      .get({ socketPath, path: '/metrics', headers: { host: 'localhost' } }, (response) => {
        let text = '';
        response.on('data', (piece: Buffer) => (text += piece.toString()));
        response.on('end', () => resolve(text));
      })
      .on('error', reject);
  });
}

function call(to: TestGateway, key: string, model: string, more: Record<string, string> = {}) {
  return fetch(`${to.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, ...more },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }),
  });
}

const answer = JSON.stringify({
  id: 'c',
  object: 'chat.completion',
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
});

describe('/metrics', () => {
  test('is for whoever may: a grant, the owner, or everybody here where the file says so', async () => {
    const running = await gateway({});
    const admin = `http://${running.address('admin')}/metrics`;
    const bearer = async (name: string) => ({
      authorization: `Bearer ${await running.key(name, { admin: true })}`,
    });
    expect((await fetch(admin)).status).toBe(401);
    expect((await fetch(admin, { headers: await bearer('other') })).status).toBe(403);
    const scraped = await fetch(admin, { headers: await bearer('scraper') });
    expect(scraped.status).toBe(200);
    expect(scraped.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await scraped.text()).toContain('postern_build_info{version="test",node="v');
    expect(await scrapeSocket(running)).toContain('postern_ready 1\n');
    expect((await fetch(admin, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${running.url}/metrics`, { headers: await bearer('x') })).status).toBe(
      404,
    );
    const open = await gateway({ config: { telemetry: { openMetrics: true } } });
    const place = `http://${open.address('admin')}`;
    expect((await fetch(`${place}/metrics`)).status).toBe(200);
    expect(
      (await fetch(`${place}/metrics`, { headers: { 'x-forwarded-for': '::1' } })).status,
    ).toBe(401);
    expect((await fetch(`${place}/api/v1/status`)).status).toBe(401);
  });

  test('tells what happened, and hostile names add no series', async () => {
    const running = await gateway({
      config: { budgets: { team: { usd: 10, every: 'month', match: ['*'] } } },
    });
    const key = await running.key('ci');
    expect((await call(running, key, 'builtin/eliza')).status).toBe(200);
    expect((await call(running, key, 'nope')).status).toBe(404);
    const before = await scrapeSocket(running);
    for (const [name, value] of [
      ['postern_requests_total{route="/v1/chat/completions",status="2xx"}', 1],
      ['postern_requests_total{route="/v1/chat/completions",status="4xx"}', 1],
      ['postern_refusals_total{reason="model_not_found"}', 1],
      ['postern_model_requests_total{model="builtin/eliza",outcome="complete"}', 1],
      ['postern_overhead_seconds_count', 1],
      ['postern_upstream_attempts_total', 1],
      ['postern_audit_available', 1],
      ['postern_budget_usd{budget="team",kind="capacity"}', 10],
      ['postern_keys', 1],
    ] as const)
      expect(before).toContain(`${name} ${value}\n`);
    // Timers say how late they were only once some have run.
    const lines = (text: string) =>
      text.split('\n').filter((line) => !line.includes('event_loop')).length;
    const second = await scrapeSocket(running);
    for (let i = 0; i < 200; i += 1) await (await call(running, key, `m${i}"}\n# x`)).text();
    const after = await scrapeSocket(running);
    expect(lines(after)).toBe(lines(second));
    expect(after).toContain('postern_refusals_total{reason="model_not_found"} 201\n');
    const names = new Set([...after.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name ?? ''));
    expect([...names].filter((name) => !Object.hasOwn(metricRows, name))).toEqual([]);
    if (hasPromtool) {
      const checked = spawnSync('promtool', ['check', 'metrics'], {
        input: after,
        encoding: 'utf8',
      });
      expect(checked).toMatchObject({ status: 0, stdout: '', stderr: '' });
    }
  });

  test('the age of a backup is told once there is one', async () => {
    const running = await gateway({});
    expect(await scrapeSocket(running)).not.toContain('postern_backup_age_seconds');
    expect((await running.control('POST', '/api/v1/backups')).status).toBe(201);
    const age = /^postern_backup_age_seconds (\S+)/m.exec(await scrapeSocket(running))?.[1];
    expect(Number(age)).toBeLessThan(60);
  });
});

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
  readonly events: readonly { readonly name: string }[];
  readonly status: { readonly code?: number; readonly message?: string };
}

/** Spans as a collector reads them out of a body. */
function spansIn(body: string): readonly OtlpSpan[] {
  // What it is, the expectations on its fields show.
  const parsed = JSON.parse(body) as {
    readonly resourceSpans: readonly { scopeSpans: readonly { spans: readonly OtlpSpan[] }[] }[];
  };
  return parsed.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

describe('traces', () => {
  const caller = { trace: '0af7651916cd43dd8448eb211c80319c', span: 'b7ad6b7169203331' };

  test('a request of a known caller joins its trace, and each attempt is a span', async () => {
    const collector = await upstream();
    const models = await upstream();
    const refuses = await upstream();
    collector.expect({ status: 200, pieces: ['{"partialSuccess":{}}'] });
    models.expect({ headers: { 'content-type': 'application/json' }, pieces: [answer] });
    refuses.expect({ status: 500, pieces: ['secret words'] });
    const running = await gateway({
      config: {
        providers: {
          bad: { kind: 'openai', baseUrl: `${refuses.url}/v1`, models: ['m'], retry: { times: 0 } },
          good: { kind: 'openai', baseUrl: `${models.url}/v1`, models: ['m'] },
        },
        aliases: { instant: ['bad/m', 'good/m'] },
        telemetry: {
          traces: {
            endpoint: `${collector.url}/v1/traces`,
            headers: { 'x-collector-key': { env: 'COLLECTOR_KEY' } },
            propagate: true,
          },
        },
      },
      env: { COLLECTOR_KEY: 'collector-secret' },
    });
    const key = await running.key('ci');
    const traceparent = `00-${caller.trace}-${caller.span}-01`;
    const unknown = await call(running, 'pst_nobody', 'instant', { traceparent });
    expect(unknown.status).toBe(401);
    expect((await call(running, key, 'instant', { traceparent })).status).toBe(200);
    await running.stop();
    expect(collector.received).toHaveLength(1);
    const [received] = collector.received;
    expect(received).toMatchObject({ method: 'POST', url: '/v1/traces' });
    expect(received?.headers).toContainEqual(['x-collector-key', 'collector-secret']);
    const spans = spansIn(received?.body ?? '');
    expect(spans.map(({ name, kind }) => [name, kind])).toEqual([
      ['chat m', 3],
      ['chat m', 3],
      ['POST /v1/chat/completions', 2],
    ]);
    const [first, second, root] = spans;
    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([caller.trace]));
    expect(root?.parentSpanId).toBe(caller.span);
    expect(root?.spanId).toMatch(/^[0-9a-f]{16}$/);
    expect([first?.parentSpanId, second?.parentSpanId]).toEqual([root?.spanId, root?.spanId]);
    expect(root?.events.map(({ name }) => name)).toEqual(['attempt', 'attempt failed', 'attempt']);
    expect(first?.status).toEqual({ code: 2, message: 'upstream_error' });
    expect(second?.status).toEqual({});
    expect(second?.attributes).toEqual(
      expect.arrayContaining([
        { key: 'gen_ai.operation.name', value: { stringValue: 'chat' } },
        { key: 'gen_ai.provider.name', value: { stringValue: 'postern.good' } },
        { key: 'gen_ai.request.model', value: { stringValue: 'm' } },
        { key: 'gen_ai.usage.input_tokens', value: { intValue: '3' } },
        { key: 'gen_ai.usage.output_tokens', value: { intValue: '4' } },
      ]),
    );
    // The upstream's span hangs below the attempt that called it, and nothing of the caller's own goes there.
    const sent = models.received.at(-1)?.headers.find(([name]) => name === 'traceparent');
    expect(sent?.[1]).toBe(`00-${caller.trace}-${second?.spanId}-01`);
    expect(BigInt(root?.endTimeUnixNano ?? 0) >= BigInt(root?.startTimeUnixNano ?? 1)).toBe(true);
    for (const words of ['hello', 'secret words', '"hi"', key])
      expect(received?.body).not.toContain(words);
  });

  test('a caller that is not sampled stays untraced, and nothing is propagated unasked', async () => {
    const collector = await upstream();
    const models = await upstream();
    collector.expect({ status: 200, pieces: ['{}'] });
    const json = { 'content-type': 'application/json' };
    models.expect({ headers: json, pieces: [answer] }, { headers: json, pieces: [answer] });
    const running = await gateway({
      config: {
        providers: { p: { kind: 'openai', baseUrl: `${models.url}/v1`, models: ['m'] } },
        telemetry: { traces: { endpoint: `${collector.url}/v1/traces` } },
      },
    });
    const key = await running.key('ci');
    const off = { traceparent: `00-${caller.trace}-${caller.span}-00` };
    await (await call(running, key, 'p/m', off)).text();
    await (await call(running, key, 'p/m', { traceparent: 'rubbish' })).text();
    await running.stop();
    const spans = collector.received.flatMap(({ body }) => spansIn(body));
    expect(spans).toHaveLength(2);
    expect(spans.map(({ traceId }) => traceId)).not.toContain(caller.trace);
    const names = models.received.flatMap(({ headers }) => headers.map(([name]) => name));
    expect(names).not.toContain('traceparent');
  });
});

describe('alerts', () => {
  test('a webhook is told once of an old backup, signed', async () => {
    const receiver = await upstream();
    receiver.expect({ status: 204, pieces: [] });
    const stateDir = await newFolder();
    const stamp = path.join(stateDir, 'backups', '.last');
    await mkdir(path.dirname(stamp), { recursive: true });
    await writeFile(stamp, '');
    await utimes(stamp, 0, 0);
    const running = await gateway({
      stateDir,
      config: {
        alerts: { webhooks: [{ url: `${receiver.url}/hook`, secret: { env: 'HOOK' } }] },
      },
      env: { HOOK: 'signing-secret' },
    });
    await expect.poll(() => receiver.received.length, { timeout: 10_000 }).toBe(1);
    const [told] = receiver.received;
    const header = told?.headers.find(([name]) => name === 'postern-signature')?.[1] ?? '';
    const [, seconds, mac] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header) ?? [];
    const ours = createHmac('sha256', 'signing-secret').update(`${seconds}.${told?.body}`);
    expect(mac).toBe(ours.digest('hex'));
    expect(JSON.parse(told?.body ?? '')).toMatchObject({
      version: 1,
      alerts: [{ status: 'firing', condition: 'backup', subject: '' }],
    });
    expect(await scrapeSocket(running)).toContain('postern_alerts_total{result="delivered"} 1\n');
    expect(await scrapeSocket(running)).toContain('postern_alerts_firing{condition="backup"} 1\n');
    expect(await readFile(stamp, 'utf8')).toBe('');
  });
});

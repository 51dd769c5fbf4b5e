/** The audit log of a whole gateway: over the admin API, and conversations that a policy says to keep. */
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli, until } from '../e2e/process.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import { call, routes, whole } from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let kept = '';
let plain = '';

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: { oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] } },
      identities: keysAsTags('kept'),
    },
    policy: granting({
      'tag:kept': { models: ['**'], capture: 'full' },
      'tag:key': { models: ['**'] },
    }),
  });
  kept = await gateway.key('kept');
  plain = await gateway.key('plain');
});
afterAll(async () => {
  await gateway.stop();
  await upstream.close();
});

async function ask(key: string, content: string): Promise<string> {
  upstream.expect(whole['openai-chat']);
  const body = { model: 'oai/up', messages: [{ role: 'user', content }] };
  const answer = await call(gateway, { path: routes['openai-chat'].path, key, body });
  expect(answer.status).toBe(200);
  return String(answer.headers['x-request-id']);
}

interface RecordView {
  readonly index: number;
  readonly kind: string;
  readonly data: Readonly<Record<string, unknown>>;
}

async function records(route: string): Promise<{ items: RecordView[]; next?: number }> {
  const { status, body } = await gateway.control('GET', `/api/v1/audit/${route}`);
  expect([status, body]).toEqual([200, expect.anything()]);
  // What the operation's schema says.
  return body as unknown as { items: RecordView[]; next?: number };
}

/** The record of a request, once it is durable. */
async function recordOf(id: string): Promise<RecordView> {
  let found: RecordView | undefined;
  await until(async () => {
    [found] = (await records(`records?request_id=${id}`)).items;
    return found !== undefined;
  });
  if (found === undefined) throw new Error('it is not there');
  return found;
}

describe('over the admin API', () => {
  test('records are found by their fields, page by page, each once', async () => {
    const ids: string[] = [];
    // oxlint-disable-next-line no-await-in-loop -- in order
    for (let i = 0; i < 7; i += 1) ids.push(await ask(plain, `question ${i}`));
    await recordOf(ids.at(-1) ?? '');
    const found: unknown[] = [];
    let after: number | undefined = 0;
    for (let pages = 0; after !== undefined; pages += 1) {
      expect(pages).toBeLessThan(10);
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      const page = await records(`records?kind=request&limit=3&after=${after}`);
      expect(page.items.length).toBeLessThanOrEqual(3);
      found.push(...page.items.map(({ data }) => data['request_id']));
      after = page.next;
    }
    expect(found).toEqual(ids);
    const tail = await records('tail?limit=2');
    expect(tail.items).toHaveLength(2);
    const none = await records('records?kind=request&since=2999-01-01T00:00:00Z');
    expect(none.items).toEqual([]);
    const bad = await gateway.control('GET', '/api/v1/audit/records?limit=100000');
    expect(bad.status).toBe(400);
  });

  test('a checkpoint is made, the log verifies, and its journal is the one of the state', async () => {
    await recordOf(await ask(plain, 'one more'));
    const made = await gateway.control('POST', '/api/v1/audit/checkpoint');
    expect(made.status).toBe(200);
    expect(String(made.body['note'])).toContain('postern.dev/audit/');
    const { status, body } = await gateway.control('POST', '/api/v1/audit/verify');
    expect(status).toBe(200);
    expect(body).toMatchObject({ ok: true, journal: { agrees: true } });
    expect(body['covered']).toBe(made.body['size']);
  });
});

describe('a conversation that the policy says to keep', () => {
  const secret = 'what is the airspeed of an unladen swallow';
  const content = (): string => path.join(gateway.stateDir, 'audit/content');

  async function filesWith(text: string): Promise<string[]> {
    const names = await readdir(gateway.stateDir, { recursive: true, withFileTypes: true });
    const found: string[] = [];
    for (const entry of names.filter((each) => each.isFile())) {
      const file = path.join(entry.parentPath, entry.name);
      // oxlint-disable-next-line no-await-in-loop -- some dozens of small files
      if ((await readFile(file)).includes(text)) found.push(file);
    }
    return found;
  }

  const exported = async (): Promise<string> =>
    (await cli(['audit', 'export', '--content'], { stateDir: gateway.stateDir })).out;

  test('is sealed on the disk, exported in clear, and gone for good once erased', async () => {
    const record = await recordOf(await ask(kept, secret));
    expect(record.data['content']).toEqual(expect.any(String));
    const other = await recordOf(await ask(plain, 'not to be kept'));
    expect(other.data).not.toHaveProperty('content');
    await until(async () => (await exported()).includes(secret));
    expect(await exported()).toContain('Hello');
    expect(await exported()).not.toContain('not to be kept');
    expect(await filesWith(secret)).toEqual([]);
    expect((await readdir(content())).length).toBeGreaterThan(0);
    const caller = String(record.data['caller']);
    const some = (...words: string[]) =>
      cli(['audit', 'export', '--content', ...words], { stateDir: gateway.stateDir });
    const request = String(record.data['request_id']);
    expect((await some('--caller', caller, '--request', request, '--since', '1h')).out).toContain(
      secret,
    );
    for (const words of [
      ['--caller', 'key:other'],
      ['--request', 'other'],
      ['--until', '1h'],
      ['--since', '2000-01-01', '--until', '2000-01-02'],
    ])
      expect(await some(...words)).toMatchObject({ code: 0, out: '' });
    for (const words of [
      ['--kind', 'request'],
      ['--model', 'x'],
      ['--outcome', 'complete'],
      ['--format', 'csv'],
      ['--since', '2026-02-31'],
      ['--caller', 'kept'],
    ]) {
      const refused = await some(...words);
      expect([refused.code, refused.out], words.join(' ')).toEqual([2, '']);
      expect(refused.err).toContain(words[0]);
    }
    // A name that matches nobody would look like a principal of whom nothing is kept.
    for (const words of [
      ['erase', '--principal', 'kept'],
      ['query', '--caller', 'kept'],
      ['query', '--caller', 'user:alice@example.com'],
    ]) {
      const refused = await cli(['audit', ...words], { stateDir: gateway.stateDir });
      expect([refused.code, refused.out], words.join(' ')).toEqual([2, '']);
      expect(refused.err).toContain(`${words[1]}: "${words[2]}" is no principal as the log has`);
    }
    const erased = await cli(['audit', 'erase', '--principal', caller], {
      stateDir: gateway.stateDir,
    });
    expect([erased.code, erased.err]).toEqual([0, '']);
    expect(await exported()).not.toContain(secret);
    await gateway.control('POST', '/api/v1/audit/checkpoint');
    const { items } = await records('records?kind=content.erased');
    expect(items).toMatchObject([{ data: { principal: caller } }]);
    const { body } = await gateway.control('POST', '/api/v1/audit/verify');
    expect(body).toMatchObject({ ok: true });
  });
});

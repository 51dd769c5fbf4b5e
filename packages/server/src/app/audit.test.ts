import { mkdtemp, open as openFile, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { present } from '@postern/core/base';
import { defaultConfig } from '@postern/core/contract/defaults';
import { refusal } from '@postern/core/errors';
import type { PlacedRecord } from '@postern/core/state/audit';
import { canonicalJson } from '@postern/core/state';
import { recordBody } from '@postern/core/state/audit';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ContentStore } from '../adapters/content-file/index.ts';
import { readLogKey, readRecords, verifyFolder } from '../adapters/segment-file/index.ts';
import { createNodeSystem } from '../adapters/system-node/index.ts';
import { captured } from '../gateway/capture.ts';
import type { Admitted } from '../gateway/stages.ts';
import { requestRecord } from '../observe/audit/index.ts';
import { createLogger } from '../observe/index.ts';
import type { Settlement } from '../observe/index.ts';
import type { Trail } from './audit.ts';
import { openAuditTrail } from './audit.ts';

let stateDir = '';
let now = Date.parse('2026-03-01T10:00:30Z');
beforeEach(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-trail-'));
  now = Date.parse('2026-03-01T10:00:30Z');
});
afterEach(() => rm(stateDir, { recursive: true, force: true }));

const { sha256Hex } = createNodeSystem();

async function openTrail(): Promise<Trail> {
  const opened = await openAuditTrail({
    stateDir,
    logger: createLogger({ level: 'error', format: 'json', write: () => undefined }),
    clock: { nowMs: () => now, after: () => ({ clear: () => undefined }) },
    sha256Hex,
  });
  if (!opened.ok) throw new Error(opened.error);
  return opened.value;
}

const subject = {
  authority: 'key',
  id: 'key_1',
  kind: 'key',
  display: 'ci',
  selectors: [],
} as const;

function settlement(more: Partial<Settlement> = {}): Settlement {
  const request = {
    id: 'req-1',
    listener: 'gateway',
    method: 'POST',
    path: '/v1/chat/completions',
    clientAddress: '127.0.0.1',
    receivedAtMs: now - 5,
  };
  return {
    // A record reads these members of a request and no other.
    request: request as Settlement['request'],
    caller: { subject },
    dialect: 'openai-chat',
    asked: 'instant',
    model: 'instant',
    target: 'local/x',
    decisionId: 'd',
    rule: 'policy.hujson:7',
    outcome: 'complete',
    refusal: undefined,
    attempts: 1,
    usage: { input: 3, cacheRead: 0, cacheWrite: 0, cacheWriteHour: 0, output: 4, reasoning: 0 },
    estimated: false,
    cost: 12_345,
    accounts: ['research'],
    status: 200,
    bytes: 10,
    firstByteMs: 1.4,
    durationMs: 5.6,
    ...more,
  };
}

async function records(): Promise<PlacedRecord[]> {
  const found: PlacedRecord[] = [];
  for await (const each of readRecords(path.join(stateDir, 'audit'), 1, 1_000)) found.push(each);
  return found;
}

describe('the record of a request', () => {
  test('is canonical without being sorted', () => {
    const record = requestRecord(settlement(), now, sha256Hex, 'k');
    const names = Object.keys(record.fields);
    expect(names).toEqual(names.toSorted());
    const body = recordBody(record, 1);
    expect(canonicalJson(JSON.parse(body))).toBe(body);
    expect(record.fields).toMatchObject({
      cost_nano_usd: 12_345,
      duration_ms: 6,
      first_byte_ms: 1,
    });
  });

  test('has a digest of a model that nobody knows', () => {
    const error = refusal('model_not_found', 'No.');
    const { fields } = requestRecord(
      settlement({ asked: 'secret', model: undefined, refusal: error, outcome: 'refused' }),
      now,
      sha256Hex,
    );
    expect(fields['asked']).toBe('sha256:2bb80d537b1da3e3');
  });
});

describe('the trail', () => {
  test('has requests, operations and counted refusals, and a signed end', async () => {
    const trail = await openTrail();
    trail.follow(() => ({ index: 4, hash: 'ab'.repeat(32) }));
    trail.request(settlement());
    trail.control({
      atMs: now,
      operation: 'key.create',
      actor: { principal: 'local:uid:0', channel: 'control-socket' },
      outcome: 'allowed',
    });
    const missing = {
      caller: undefined,
      refusal: refusal('credential_missing', 'Who?'),
      outcome: 'refused',
    } as const;
    for (let n = 0; n < 5; n += 1) trail.request(settlement(missing));
    now += 60_000;
    trail.request(settlement(missing));
    await trail.close();
    const all = await records();
    expect(all.map(({ kind, fields }) => [kind, fields['count']])).toEqual([
      ['request', undefined],
      ['control', undefined],
      ['refusals', 5],
      ['refusals', 1],
    ]);
    const dir = path.join(stateDir, 'audit');
    const key = await readLogKey(dir);
    if (key === undefined) throw new Error('no key');
    const verdict = await verifyFolder(dir, { key });
    expect(verdict).toMatchObject({ flaw: undefined, records: 4, uncovered: 0 });
    expect(verdict.agreed?.journal).toEqual({ index: 4, hash: 'ab'.repeat(32) });
  });

  test('appends every checkpoint to the witness files', async () => {
    const trail = await openTrail();
    const witness = path.join(stateDir, 'witness');
    trail.configure({ ...defaultConfig.audit, witness: [witness] });
    trail.request(settlement());
    await trail.checkpoint();
    trail.request(settlement());
    await trail.close();
    const own = await readFile(path.join(stateDir, 'audit', 'checkpoints'), 'utf8');
    expect(await readFile(witness, 'utf8')).toBe(own);
    expect(own.match(/^— /gm)).toHaveLength(2);
  });

  test('keeps a conversation sealed, records its key, and puts its erasure on the record', async () => {
    const trail = await openTrail();
    trail.request(
      settlement({ content: { request: 'a secret question', answer: 'a secret answer' } }),
    );
    const store = new ContentStore(path.join(stateDir, 'audit', 'content'));
    const read = async (): Promise<readonly unknown[]> => {
      const kept: unknown[] = [];
      for await (const each of store.read()) kept.push(each);
      return kept;
    };
    await expect.poll(async () => (await read()).length).toBe(1);
    await trail.log.whenDurable(1);
    expect(await read()).toMatchObject([
      { requestId: 'req-1', caller: 'key:key_1', request: 'a secret question' },
    ]);
    expect(await store.erase('key:key_1')).toBe(1);
    await trail.checkpoint();
    expect(await store.takeErasures()).toEqual([]);
    await trail.close();
    const [first, second] = await records();
    expect(first?.fields['content']).toMatch(/^2026-03-01\.[0-9a-f]{32}$/);
    expect(second).toMatchObject({
      kind: 'content.erased',
      fields: { keys: 1, principal: 'key:key_1' },
    });
    expect(JSON.stringify(await records())).not.toContain('secret');
    for await (const each of store.read()) expect.unreachable(each.requestId);
  });
});

describe('capture', () => {
  const sent: unknown[] = [];
  const reply: Admitted['reply'] = {
    started: false,
    sent: { status: 0, bytes: 0 },
    add: () => undefined,
    send: (_status, _headers, body) => sent.push(body),
    start: () => ({
      write: (bytes) => {
        sent.push(bytes);
        return Promise.resolve(true);
      },
      end: () => undefined,
      destroy: () => undefined,
    }),
  };
  const base = { reply, text: '{"a":1}', permit: { model: 'm' } };

  test('remembers what was sent, only where the permit says so', async () => {
    // The two members that capture reads.
    const without = captured(base as unknown as Admitted);
    expect(without.capture).toBeUndefined();
    expect(without.stage.reply).toBe(reply);
    const full = { ...base, permit: { model: 'm', capture: 'full' } };
    // The same.
    const { stage, capture } = captured(full as unknown as Admitted);
    const stream = stage.reply.start(200, {});
    const bytes = Buffer.from('héllo ');
    await stream.write(bytes);
    bytes.fill(0);
    await stream.write(Buffer.from('there'));
    expect(capture?.request).toBe('{"a":1}');
    expect(capture?.answer()).toBe('héllo there');
    expect(sent).toHaveLength(2);
  });
});

test('a request whose conversation is still being kept at the end is on the record', async () => {
  const trail = await openTrail();
  trail.request(settlement({ content: { request: 'a', answer: 'b' } }));
  await trail.close();
  const records: PlacedRecord[] = [];
  for await (const record of readRecords(path.join(stateDir, 'audit'), 1, 100))
    records.push(record);
  expect(records.map(({ kind }) => kind)).toContain('request');
  const kept: string[] = [];
  for await (const { request } of new ContentStore(path.join(stateDir, 'audit', 'content')).read())
    kept.push(request);
  expect(kept).toEqual(['a']);
});

describe('counts of a minute', () => {
  const refusedFrom = (trail: Trail, n: number): void =>
    trail.refused({
      listener: 'gateway',
      code: 'credential_missing',
      peerAddress: `203.0.113.${n}`,
      requestId: 'req-1',
      status: 401,
      method: 'POST',
      target: '/v1/models',
      atMs: now,
    });

  test('go into the log in pieces, between which the event loop goes on', async () => {
    const trail = await openTrail();
    for (let n = 0; n < 900; n += 1) refusedFrom(trail, n);
    now += 60_000;
    const size = (): number => trail.folder.log.mark().head.size;
    const before = size();
    refusedFrom(trail, 0);
    const sizes = [size() - before];
    while (size() - before < 900) {
      // oxlint-disable-next-line no-await-in-loop -- each turn is looked at
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
      sizes.push(size() - before);
    }
    expect(sizes[0]).toBe(100);
    expect(sizes.length).toBeGreaterThanOrEqual(9);
    await trail.close();
    expect((await records()).filter(({ kind }) => kind === 'refusals')).toHaveLength(901);
  });

  test('are all there at the end, each once, and what is counted meanwhile too', async () => {
    const trail = await openTrail();
    for (let n = 0; n < 500; n += 1) refusedFrom(trail, n);
    now += 60_000;
    const before = trail.folder.log.mark().head.size;
    for (let n = 0; n < 300; n += 1) refusedFrom(trail, n);
    // However many come in one turn.
    expect(trail.folder.log.mark().head.size - before).toBe(100);
    await trail.close();
    const counts = (await records()).filter(({ kind }) => kind === 'refusals');
    expect(counts.map(({ fields }) => fields['count'])).toEqual(Array(800).fill(1));
    const places = counts.map(({ fields }) =>
      JSON.stringify([fields['minute_ms'], fields['client']]),
    );
    expect(new Set(places).size).toBe(800);
  });
});

describe('a disk that hangs', () => {
  test('what is served is recorded: callers are refused while there is room for what is under way', async () => {
    const trail = await openTrail();
    trail.configure({ ...defaultConfig.audit, whenUnavailable: 'refuse' });
    trail.request(settlement());
    await trail.log.whenDurable(1);
    const proof = await openFile(stateDir);
    const files: { datasync(): Promise<void> } = Object.getPrototypeOf(proof);
    await proof.close();
    let goOn: () => void = () => undefined;
    const hanging = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    const hung = vi.spyOn(files, 'datasync').mockReturnValue(hanging);
    let served = 1;
    while (trail.admits().ok && served < 50_000) {
      trail.request(settlement());
      served += 1;
    }
    expect(trail.admits()).toMatchObject({
      ok: false,
      error: { code: 'state_unavailable', retryAfterMs: 5_000, message: slowDisk },
    });
    // Ten thousand that were admitted before end now, each with its record.
    for (let n = 0; n < 10_000; n += 1) trail.request(settlement());
    served += 10_000;
    expect(trail.log.refused).toBe(0);
    expect(trail.folder.log.mark().head.size).toBe(served);
    trail.configure({ ...defaultConfig.audit, whenUnavailable: 'serve' });
    expect(trail.admits().ok).toBe(true);
    trail.configure({ ...defaultConfig.audit, whenUnavailable: 'refuse' });
    hung.mockRestore();
    goOn();
    expect(await trail.log.whenDurable(served)).toBe(true);
    await vi.waitFor(() => expect(trail.admits().ok).toBe(true));
    await trail.close();
    const key = present(await readLogKey(path.join(stateDir, 'audit')), 'a key');
    expect(await verifyFolder(path.join(stateDir, 'audit'), { key })).toMatchObject({
      flaw: undefined,
      records: served,
    });
  });
});

const slowDisk = 'The disk of the audit log does not keep up.';

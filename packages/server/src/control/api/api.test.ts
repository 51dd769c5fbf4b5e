import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noProtection } from '@postern/core/policy/change';
import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import { afterEach, describe, expect, test } from 'vitest';
import { createMemoryDisk, openMemoryStore } from '../../../../../test/fakes/store-memory.ts';
import { createFakeSystem } from '../../../../../test/fakes/system.ts';
import type { HttpReply, HttpRequest } from '../../http/exchange.ts';
import type { ControlLine } from '../audit.ts';
import type { Control } from '../control.ts';
import { createControl } from '../control.ts';
import type { PolicyPorts } from '../policy/index.ts';
import type { AdminGate, OperationName, Permit } from './index.ts';
import { createAdminApi, honoHandler, openApiDocument, operations } from './index.ts';

const owner: Caller = {
  subject: {
    authority: 'local',
    id: 'uid:1000',
    kind: 'operator',
    display: 'root',
    selectors: [],
  },
};

const policyPorts: PolicyPorts = {
  inventory: () => ({ users: [], nodes: [] }),
  names: () => ({ limits: new Set(['chat']), budgets: new Set() }),
  principalOfKey: ({ id, name }) => ({
    authority: 'key',
    id,
    kind: 'key',
    display: name,
    selectors: ['tag:ci'],
  }),
  prepare: () => Promise.resolve(),
  builtIn: () => undefined,
  protection: () => noProtection,
  candidate: () =>
    Promise.resolve({ file: 'p', text: undefined, problem: undefined, autoApply: false }),
  approved: () => undefined,
};

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  // What a test looks at is judged by its expectations.
  readonly json: ReturnType<typeof JSON.parse>;
}

interface Bench {
  readonly control: Control;
  readonly lines: ControlLine[];
  readonly faults: unknown[];
  call(method: string, path: string, body?: unknown, gate?: Partial<AdminGate>): Promise<Answer>;
}

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function bench(): Promise<Bench> {
  const store = openMemoryStore(createMemoryDisk());
  if (!store.ok) throw new Error('no store');
  const lines: ControlLine[] = [];
  const faults: unknown[] = [];
  const control = await createControl({
    store: store.value,
    system: createFakeSystem(),
    record: (line) => lines.push(line),
  });
  if (!control.ok) throw new Error('no control');
  const folder = await mkdtemp(join(tmpdir(), 'postern-api-'));
  folders.push(folder);
  const app = createAdminApi({
    control: control.value,
    checkConfig: (text) => {
      if (text === 'defect') throw new Error('a defect with a private detail');
      return text.startsWith('{') ? [] : [{ pointer: '', message: 'not an object' }];
    },
    backupsDir: join(folder, 'backups'),
    runtime: () => {
      throw new Error('not in this test');
    },
    reload: () => Promise.resolve(err(['not in this test'])),
    money: {
      accounts: () => Promise.resolve(ok([])),
      credit: () => Promise.resolve(ok([])),
      usage: () => Promise.resolve(ok([])),
    },
    policy: {
      tools: { control: control.value, ports: policyPorts },
      alarm: () => undefined,
    },
    onFault: (fault) => faults.push(fault),
  });
  return {
    control: control.value,
    lines,
    faults,
    call: async (method, path, body, gate = {}) => {
      const handler = honoHandler(app, {
        channel: 'control-socket',
        identify: () => Promise.resolve(ok(owner)),
        permit: () => ok(undefined),
        ...gate,
      });
      const reply = createReply();
      await handler(createRequest(method, path, body), reply);
      const { status, headers, text } = reply.answer();
      return { status, headers, json: JSON.parse(text) };
    },
  };
}

function createRequest(method: string, target: string, body: unknown): HttpRequest {
  const [path = '', query = ''] = target.split('?');
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  const bytes = new TextEncoder().encode(text);
  const headers = new Map([['x-postern-caller', 'somebody else']]);
  return {
    id: 'req-7',
    listener: 'control-socket',
    method,
    path,
    query,
    headers: {
      get: (name) => headers.get(name),
      has: (name) => headers.has(name),
      entries: () => headers.entries(),
    },
    peer: {
      transport: 'unix',
      address: undefined,
      port: undefined,
      localAddress: undefined,
      localPort: undefined,
    },
    clientAddress: undefined,
    evidence: undefined,
    sawForwarding: false,
    sawIdentityHeaders: false,
    receivedAtMs: 0,
    signal: new AbortController().signal,
    readBody: (bytesMax) =>
      Promise.resolve(
        bytes.length > bytesMax ? refuse('body_too_large', 'The body is too large.') : ok(bytes),
      ),
  };
}

function createReply(): HttpReply & {
  answer: () => { status: number; headers: Record<string, string>; text: string };
} {
  let sent: { status: number; headers: Record<string, string>; text: string } | undefined;
  return {
    started: false,
    sent: { status: 0, bytes: 0 },
    add: () => {
      throw new Error('the admin API adds nothing');
    },
    send: (status, headers, body) => {
      const text = typeof body === 'string' ? body : new TextDecoder().decode(body);
      sent = { status, headers: { ...headers }, text };
    },
    start: () => {
      throw new Error('the admin API does not stream');
    },
    answer: () => {
      if (sent === undefined) throw new Error('not answered');
      return sent;
    },
  };
}

const keys = '/api/v1/keys';

describe('the admin api', () => {
  test('makes, shows, lists and revokes keys, and shows a secret once', async () => {
    const { call } = await bench();
    const made = await call('POST', keys, {
      name: 'ci',
      scope: { models: ['local/**'] },
      bound_to: ['tag:ci'],
      expires_at: '2031-01-01T00:00:00+01:00',
    });
    expect(made.status).toBe(201);
    expect(made.json.secret).toMatch(/^pst_[0-9A-Za-z]{36}$/);
    expect(made.headers).toMatchObject({
      'cache-control': 'no-store',
      'content-type': 'application/json',
      'x-content-type-options': 'nosniff',
      'x-request-id': 'req-7',
    });
    const key = {
      id: 'key_000001',
      name: 'ci',
      hint: made.json.secret.slice(-4),
      standing: 'active',
      scope: { models: ['local/**'], admin: false },
      bound_to: ['tag:ci'],
      created_by: 'local:uid:1000',
      created_at: '2030-01-01T00:00:00.000Z',
      expires_at: '2030-12-31T23:00:00.000Z',
    };
    expect(made.json.key).toEqual(key);
    expect((await call('GET', `${keys}/ci`)).json).toEqual(key);
    expect((await call('GET', keys)).json).toEqual({ items: [key] });
    const revoked = await call('POST', `${keys}/ci/revoke`, { reason: 'lost' });
    expect(revoked.json.revoked).toMatchObject([{ standing: 'revoked', revoked_reason: 'lost' }]);
    expect((await call('POST', `${keys}/key_000001/revoke`)).json).toEqual({ revoked: [] });
    expect((await call('GET', `${keys}/ci`)).status).toBe(404);
  });

  test('cuts lists into pages', async () => {
    const { call } = await bench();
    for (const name of ['a', 'b', 'c']) await call('POST', keys, { name });
    const first = (await call('GET', `${keys}?limit=2`)).json;
    expect(first.items.map((key: { name: string }) => key.name)).toEqual(['a', 'b']);
    const rest = (await call('GET', `${keys}?limit=2&after=${first.next}`)).json;
    expect(rest.items.map((key: { name: string }) => key.name)).toEqual(['c']);
    expect(rest.next).toBeUndefined();
    for (const query of [
      'after=gone',
      'limit=0',
      'limit=1001',
      'limit=x',
      'other=1',
      'limit=1&limit=2',
    ]) {
      expect((await call('GET', `${keys}?${query}`)).status, query).toBe(400);
    }
  });

  test('revokes tokens in all three ways and lifts', async () => {
    const { call } = await bench();
    const path = '/api/v1/revocations';
    const issuer = 'https://issuer.example';
    for (const target of [
      { by: 'token', issuer, token_id: 't', expires_at: '2030-02-01T00:00:00.000Z' },
      { by: 'subject', issuer, subject: 's' },
      { by: 'issuer', issuer, issued_before: '2030-01-01T00:00:00.000Z' },
    ]) {
      const made = await call('POST', path, { target, reason: 'leaked' });
      expect(made).toMatchObject({ status: 201, json: { target, reason: 'leaked' } });
    }
    const listed = (await call('GET', path)).json.items;
    expect(listed).toHaveLength(3);
    expect((await call('DELETE', `${path}/${listed[0].id}`)).json).toEqual({ id: listed[0].id });
    expect((await call('DELETE', `${path}/${listed[0].id}`)).status).toBe(404);
    expect((await call('DELETE', `${path}/${listed[2].id}`)).status).toBe(409);
  });

  test('shows configurations and says what is wrong with one', async () => {
    const { call, control } = await bench();
    const generations = '/api/v1/config/generations';
    expect((await call('GET', `${generations}/current`)).status).toBe(404);
    const text = '{"limits": {}}';
    const digest = control.system.sha256Hex(text);
    await control.execute(
      { kind: 'config.apply', text, digest },
      { actor: { principal: 'local:uid:1000', channel: 'system' } },
    );
    const generation = { number: 1, digest, applied_by: 'local:uid:1000' };
    expect((await call('GET', generations)).json.items).toMatchObject([generation]);
    expect((await call('GET', `${generations}/1`)).json).toMatchObject({ generation, text });
    expect((await call('GET', `${generations}/2`)).status).toBe(404);
    expect((await call('GET', `${generations}/x`)).status).toBe(400);
    const check = '/api/v1/config/check';
    expect((await call('POST', check, { text })).json).toEqual({ valid: true, findings: [] });
    expect((await call('POST', check, { text: '[]' })).json).toEqual({
      valid: false,
      findings: [{ pointer: '', message: 'not an object' }],
    });
  });

  test('tells how the state is, verifies it and backs it up under a name of its own', async () => {
    const { call } = await bench();
    await call('POST', keys, { name: 'a' });
    expect((await call('GET', '/api/v1/status')).json).toMatchObject({
      store: 'good',
      journal_index: 1,
      keys: 1,
    });
    expect((await call('POST', '/api/v1/verify')).json).toMatchObject({ intact: true, records: 1 });
    const backup = await call('POST', '/api/v1/backups');
    expect(backup).toMatchObject({ status: 201, json: { records: 1 } });
    expect(backup.json.file).toMatch(/\/backups\/2030-01-01T000000Z-\w+\.postern-backup$/);
    const chosen = await call('POST', '/api/v1/backups', { file: '/etc/passwd' });
    expect(chosen.status).toBe(400);
  });
});

describe('what the api refuses', () => {
  test('members that no schema names, in every writable object', async () => {
    const { call } = await bench();
    const target = { by: 'subject', issuer: 'i', subject: 's' };
    const attempts: readonly (readonly [string, object])[] = [
      [keys, { name: 'a', id: 'key_1' }],
      [keys, { name: 'a', created_by: 'root' }],
      [keys, { name: 'a', digest: '0'.repeat(64) }],
      [keys, { name: 'a', revoked_at: null }],
      [keys, { name: 'a', scope: { admin: false, role: 'admin' } }],
      [`${keys}/a/revoke`, { with_children: false, id: 'x' }],
      ['/api/v1/revocations', { target, id: 'rev_1' }],
      ['/api/v1/revocations', { target: { ...target, token_id: 't' } }],
      ['/api/v1/config/check', { text: '{}', apply: true }],
      ['/api/v1/verify', { repair: true }],
    ];
    for (const [path, body] of attempts) {
      const refused = await call('POST', path, body);
      expect(refused.status, path).toBe(400);
    }
    const polluting = '{"name":"a","__proto__":{"scope":{"admin":true}}}';
    expect((await call('POST', keys, polluting)).status).toBe(400);
    expect((await call('GET', keys)).json.items).toEqual([]);
  });

  test('bodies that are not one JSON object with each member once', async () => {
    const { call } = await bench();
    for (const body of ['{', '[]', 'null', '"a"', '{"name":"a","name":"b"}', '{"name":1}', '']) {
      const refused = await call('POST', keys, body);
      expect(refused.status, body).toBe(400);
      expect(refused.json.error).toMatchObject({ request_id: 'req-7' });
    }
    expect((await call('POST', keys, `{"name":"${'a'.repeat(5_000_000)}"}`)).status).toBe(413);
    expect((await call('POST', keys, `{"name":${'['.repeat(1_000)}`)).status).toBe(400);
  });

  test('unknown paths and methods, each in its own way', async () => {
    const { call } = await bench();
    expect(await call('GET', '/api/v1/nothing')).toMatchObject({
      status: 404,
      json: { error: { code: 'not_found' } },
    });
    expect(await call('PUT', `${keys}/a`)).toMatchObject({
      status: 405,
      headers: { allow: 'GET' },
      json: { error: { code: 'method_not_allowed' } },
    });
    expect((await call('DELETE', keys)).headers['allow']).toBe('GET, POST');
  });

  test('in one envelope with code, message, fix, field and request id', async () => {
    const { call } = await bench();
    const refused = await call('POST', keys, { name: 'no spaces' });
    expect(refused).toEqual({
      status: 400,
      headers: expect.objectContaining({ 'content-type': 'application/json' }),
      json: {
        error: {
          code: 'invalid_request',
          message: expect.stringContaining('name: A key name has 1 to 64'),
          fix: 'Correct the field named in param.',
          param: 'name',
          request_id: 'req-7',
        },
      },
    });
  });

  test('a defect shows an id and nothing else', async () => {
    const { call, faults } = await bench();
    const broken = await call('POST', '/api/v1/config/check', { text: 'defect' });
    expect(broken).toMatchObject({ status: 500, json: { error: { code: 'internal' } } });
    expect(JSON.stringify(broken)).not.toContain('private');
    expect(faults).toHaveLength(1);
  });

  test('who is not identified, before the body is read', async () => {
    const { call, lines } = await bench();
    const nobody: Result<Caller, Refusal> = refuse('credential_missing', 'Who?');
    const refused = await call('POST', keys, '{', { identify: () => Promise.resolve(nobody) });
    expect(refused).toMatchObject({
      status: 401,
      headers: { 'www-authenticate': 'Bearer' },
      json: { error: { code: 'credential_missing' } },
    });
    expect(lines).toEqual([]);
    const down = refuse('state_unavailable', 'The store is down.');
    const unavailable = await call('GET', keys, undefined, {
      identify: () => Promise.resolve(down),
    });
    expect(unavailable).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
  });
});

describe('permission', () => {
  const samples = operations.map(({ name, method, path }) => ({
    name,
    method: method.toUpperCase(),
    path: `/api/v1${path.replaceAll(/\{\w+\}/g, 'x')}`,
  }));

  test('is asked for every operation by its own name, and a refusal has no effect', async () => {
    const { call, control, lines } = await bench();
    const asked: OperationName[] = [];
    const permit: Permit = (caller, operation) => {
      expect(caller).toBe(owner);
      asked.push(operation);
      return refuse('access_denied', 'No.');
    };
    for (const { method, path } of samples) {
      expect(await call(method, path, undefined, { permit })).toMatchObject({
        status: 403,
        json: { error: { code: 'access_denied' } },
      });
    }
    expect(asked).toEqual(samples.map(({ name }) => name));
    expect(control.snapshot().index).toBe(0);
    expect(lines.map(({ operation, outcome }) => [operation, outcome])).toEqual(
      samples.map(({ name }) => [name, 'refused']),
    );
  });

  test('a credential that may not administer does nothing here, whatever is granted', async () => {
    const { call } = await bench();
    const key = (scope: Caller['scope']): Caller => ({
      subject: { authority: 'key', id: 'key_1', kind: 'key', display: 'k', selectors: [] },
      ...(scope === undefined ? {} : { scope }),
    });
    const token: Caller = {
      subject: { ...owner.subject, authority: 'jwt' },
      scope: { admin: false },
    };
    for (const caller of [key(undefined), key({}), key({ admin: false }), token]) {
      for (const { method, path } of samples) {
        const refused = await call(method, path, undefined, {
          identify: () => Promise.resolve(ok(caller)),
        });
        expect(refused.status).toBe(403);
      }
    }
  });

  test('a key makes keys no wider than itself, and they carry its name', async () => {
    const { call } = await bench();
    const scope = { models: ['local/**'], admin: true };
    const { json } = await call('POST', keys, { name: 'maker', scope });
    const maker: Caller = {
      subject: { authority: 'key', id: json.key.id, kind: 'key', display: 'maker', selectors: [] },
      via: { ...owner.subject, authority: 'tailnet', id: 'node-9' },
      scope,
    };
    const gate: Partial<AdminGate> = {
      channel: 'admin',
      identify: () => Promise.resolve(ok(maker)),
    };
    const wide = await call('POST', keys, { name: 'wide', scope: { models: ['**'] } }, gate);
    expect(wide).toMatchObject({ status: 403, json: { error: { param: 'scope.models' } } });
    const narrow = await call('POST', keys, { name: 'n', scope: { models: ['local/a'] } }, gate);
    expect(narrow.json.key.created_by).toBe(`key:${json.key.id}`);
  });
});

describe('the record', () => {
  test('names who did what by which door, once for every operation', async () => {
    const { call, lines } = await bench();
    await call('POST', keys, { name: 'a' });
    await call('POST', keys, { name: 'a' });
    await call('POST', keys, { nome: 'a' });
    await call('GET', keys);
    const actor = { principal: 'local:uid:1000', channel: 'control-socket' };
    const common = { actor, requestId: 'req-7' };
    expect(lines).toMatchObject([
      { ...common, operation: 'key.create', outcome: 'allowed', journalIndex: 1 },
      { ...common, operation: 'key.create', outcome: 'refused', code: 'conflict' },
      { ...common, operation: 'key.create', outcome: 'refused', code: 'invalid_request' },
      { ...common, operation: 'key.list', outcome: 'allowed' },
    ]);
  });
});

describe('the openapi document', () => {
  test('has every operation with its name, answers and errors', () => {
    const document = openApiDocument();
    const found = JSON.stringify(document);
    for (const { name } of operations) expect(found).toContain(`"operationId":"${name}"`);
    expect(document).toMatchObject({ openapi: '3.1.0', info: { title: 'Postern admin API' } });
    expect(openApiDocument()).toEqual(document);
  });

  test('is the one in the reference', () => {
    const file = new URL('../../../../../docs/reference/openapi.json', import.meta.url);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(openApiDocument());
  });

  test('allows no members that it does not name', () => {
    const { components } = openApiDocument() as {
      components: { schemas: Record<string, { type?: string; additionalProperties?: unknown }> };
    };
    for (const [name, schema] of Object.entries(components.schemas)) {
      if (schema.type !== 'object' || name === 'OpenApi') continue;
      expect(schema.additionalProperties, name).toBe(false);
    }
  });
});

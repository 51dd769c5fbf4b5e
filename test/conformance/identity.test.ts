/**
 * The identify stage behind real listeners, with real keys and the real look at the other end of a connection: what a
 * caller can do to be taken for somebody, tried from outside.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { ok } from '@postern/core/base';
import type { IdentityMap, OperatorFacts } from '@postern/core/identity';
import { createIdentityMap, serveHeaderNames, tailnetNode } from '@postern/core/identity';
import type { KeyRecord, State } from '@postern/core/state';
import { emptyState, mintSecretText, reduce } from '@postern/core/state';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { createKeyAuthenticator } from '../../packages/server/src/adapters/identity-keys/index.ts';
import {
  createFactsReader,
  createOperatorAuthenticator,
  inspectLocalPeer,
  ownerPrincipal,
} from '../../packages/server/src/adapters/identity-local/index.ts';
import { createServeAuthenticator } from '../../packages/server/src/adapters/identity-serve/index.ts';
import type { Identify, IdentifyOptions } from '../../packages/server/src/gateway/identify.ts';
import { createIdentify } from '../../packages/server/src/gateway/identify.ts';
import type { HttpHandler, Listener } from '../../packages/server/src/http/index.ts';
import { closing, loopback, open } from './http-fixture.ts';

const identityMap: IdentityMap = createIdentityMap([{ key: 'ci', as: ['tag:ci'] }]);
const owner = ownerPrincipal(process.geteuid?.(), 'me', []);
const plainMachine: OperatorFacts = {
  isLinux: process.platform === 'linux',
  variables: new Set(),
  pidNamespace: 'pid:[4026531836]',
  cgroup: '0::/user.slice\n',
  tailscaled: { found: false },
};

let state: State;
let made: number;
beforeEach(() => {
  state = emptyState();
  made = 0;
});

function newKey(more: Partial<KeyRecord> = {}): string {
  const text = mintSecretText((count) => randomBytes(count));
  made += 1;
  const key: KeyRecord = {
    id: `key_${made}`,
    name: `k${made}`,
    digest: createHash('sha256').update(text).digest('hex'),
    hint: text.slice(-4),
    scope: {},
    boundTo: [],
    createdBy: 'local:uid:0',
    createdAtMs: 0,
    ...more,
  };
  state = reduce(state, { kind: 'key.created', key });
  return text;
}

interface Situation {
  readonly facts?: Partial<OperatorFacts>;
  readonly hasConfigFile?: boolean;
  readonly trustLoopback?: boolean;
}

function identifyWith(situation: Situation = {}, more: Partial<IdentifyOptions> = {}): Identify {
  const { facts, hasConfigFile = false, trustLoopback = false } = situation;
  return createIdentify({
    keys: createKeyAuthenticator({ state: () => state, identityMap: () => identityMap }),
    operator: createOperatorAuthenticator({
      facts: () => Promise.resolve({ ...plainMachine, ...facts }),
      owner,
      hasConfigFile,
      trustLoopback,
    }),
    owner,
    ...more,
  });
}

/** Answers with who the caller is, or with the code and sentence of the refusal; `seen` keeps them too. */
function telling(identify: Identify, seen: string[] = []): HttpHandler {
  return async (request, reply) => {
    const caller = await identify(request);
    const text = caller.ok
      ? JSON.stringify(caller.value)
      : `${caller.error.code}: ${caller.error.message}`;
    seen.push(text);
    reply.send(caller.ok ? 200 : 401, {}, text);
  };
}

const gateway = (identify: Identify, seen?: string[]) =>
  open({ inspect: inspectLocalPeer, handler: telling(identify, seen) });

function ask(
  to: Listener | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const where =
      typeof to === 'string' ? { socketPath: to } : { host: '127.0.0.1', port: to.port };
    const sent = httpRequest(
      { ...where, path: '/whoami', agent: false, headers: { host: 'ai', ...headers } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        answer.on('end', () => {
          resolve(text);
        });
      },
    );
    sent.on('error', reject).end();
  });
}

const isLinux = process.platform === 'linux';
const foreigner = { uid: 12_345, gid: 12_345 };
const hasForeigner =
  isLinux &&
  process.getuid?.() === 0 &&
  spawnSync(process.execPath, ['-e', '0'], foreigner).status === 0;

describe('the person at this machine', () => {
  const believed = JSON.stringify({ subject: owner, scope: { admin: false } });

  test('is believed without any credential, and with those that client libraries send', async () => {
    const listener = await gateway(identifyWith());
    expect(await ask(listener)).toBe(believed);
    expect(await ask(listener, { authorization: 'Bearer -' })).toBe(believed);
    expect(await ask(listener, { 'x-api-key': 'sk-ant-api03-x' })).toBe(believed);
  });

  test.each<readonly [Readonly<Record<string, string>>, string]>([
    [{ 'x-forwarded-for': '127.0.0.1' }, 'forwarded by a proxy'],
    [{ 'x-forwarded-host': 'ai' }, 'forwarded by a proxy'],
    [{ forwarded: 'for=127.0.0.1' }, 'forwarded by a proxy'],
    [{ via: '1.1 proxy' }, 'forwarded by a proxy'],
    [{ 'x-real-ip': '127.0.0.1' }, 'forwarded by a proxy'],
    [{ 'tailscale-user-login': 'ceo@example.com' }, 'serve socket'],
    [{ 'tailscale-headers-info': 'x' }, 'serve socket'],
  ])('is not believed with the header %j', async (headers, words) => {
    const answer = await ask(await gateway(identifyWith()), headers);
    expect(answer).toMatch(/^local_operator_refused: /);
    expect(answer).toContain(words);
  });

  test.each(['x_forwarded_for', 'tailscale_user_login', 'X_Real_IP'])(
    'gains nothing by writing %s with underscores',
    async (name) => {
      const answer = await ask(await gateway(identifyWith()), { [name]: '127.0.0.1' });
      expect(answer).toContain('forbidden_header');
    },
  );

  test.each<readonly [string, Situation, string]>([
    ['in a container', { facts: { pidNamespace: 'pid:[4026532201]' } }, 'container'],
    ['beside containerboot', { facts: { variables: new Set(['TS_USERSPACE']) } }, 'TS_USERSPACE'],
    ['in Kubernetes', { facts: { variables: new Set(['KUBERNETES_SERVICE_HOST']) } }, 'container'],
    [
      'beside a tailscaled of the same user',
      { facts: { tailscaled: { found: true } } },
      'tailscaled',
    ],
    ['with a configuration file', { hasConfigFile: true }, 'trustLoopback'],
    [
      'with trustLoopback in a container',
      { hasConfigFile: true, trustLoopback: true, facts: { cgroup: '0::/docker/1f\n' } },
      'docker',
    ],
  ])('is not believed %s', async (_name, situation, words) => {
    const answer = await ask(await gateway(identifyWith(situation)));
    expect(answer).toMatch(/^local_operator_refused: /);
    expect(answer).toContain(words);
  });

  test('is believed with a configuration file that says so', async () => {
    const situation = { hasConfigFile: true, trustLoopback: true };
    expect(await ask(await gateway(identifyWith(situation)))).toBe(believed);
  });

  test('is not believed where nobody looked at the connection', async () => {
    const answer = await ask(await open({ handler: telling(identifyWith()) }));
    expect(answer).toMatch(isLinux ? /nobody looked/ : /subject/);
  });

  test.skipIf(!isLinux)('is judged on this very machine with all its facts', async () => {
    const facts = await createFactsReader()();
    const answer = await ask(await gateway(identifyWith({ facts })));
    expect(answer === believed || answer.startsWith('local_operator_refused: ')).toBe(true);
  });

  const script = (port: number | undefined, then: string) =>
    `const s = require('node:net').connect(${port}, '127.0.0.1', () => s.write('GET /whoami HTTP/1.1\\r\\nHost: ai\\r\\n\\r\\n', () => { ${then} })); s.on('data', () => s.destroy());`;

  test.skipIf(!hasForeigner).each([
    ['waits for the answer', ''],
    ['closes at once', 's.end(); s.unref()'],
    ['vanishes', 's.destroy()'],
    ['resets', 's.resetAndDestroy()'],
  ])('is not another user who %s (needs root)', async (_how, then) => {
    const seen: string[] = [];
    const listener = await gateway(identifyWith(), seen);
    for (let i = 0; i < 3; i += 1) {
      if (then === '') {
        const { spawn } = await import('node:child_process');
        const child = spawn(process.execPath, ['-e', script(listener.port, then)], foreigner);
        await new Promise((resolve) => child.once('exit', resolve));
      } else spawnSync(process.execPath, ['-e', script(listener.port, then)], foreigner);
    }
    // A caller of our own after them shows that the listener is through with them.
    expect(await ask(listener)).toBe(believed);
    const others = seen.slice(0, -1);
    if (then === '') expect(others.length).toBe(3);
    for (const text of others) expect(text).toMatch(/^local_operator_refused: /);
  });
});

describe('keys over the wire', () => {
  const publicEdge = () => open({ kind: 'public', handler: telling(identifyWith()) });

  test('are taken from each of the three headers, with scope and selectors', async () => {
    const listener = await publicEdge();
    const key = newKey({ name: 'ci', scope: { models: ['local/**'] } });
    const expected = JSON.stringify({
      subject: { authority: 'key', id: 'key_1', kind: 'key', display: 'ci', selectors: ['tag:ci'] },
      scope: { models: ['local/**'] },
    });
    expect(await ask(listener, { authorization: `Bearer ${key}` })).toBe(expected);
    expect(await ask(listener, { 'x-api-key': key })).toBe(expected);
    expect(await ask(listener, { 'api-key': key })).toBe(expected);
  });

  test('tell a typo, a stranger, an end and a revocation apart', async () => {
    const listener = await publicEdge();
    const tell = (key: string) => ask(listener, { authorization: `Bearer ${key}` });
    const key = newKey();
    const typo = `${key.slice(0, -1)}${key.endsWith('a') ? 'b' : 'a'}`;
    expect(await tell(typo)).toMatch(/^credential_invalid: .*typo/);
    expect(await tell(key.slice(0, -1))).toMatch(/^credential_invalid: .*typo/);
    const stranger = mintSecretText((count) => randomBytes(count));
    expect(await tell(stranger)).toMatch(/^credential_invalid: .*not known/);
    expect(await tell(newKey({ expiresAtMs: Date.now() }))).toMatch(/^credential_expired: /);
    expect(await tell(newKey({ revokedAtMs: 1 }))).toMatch(/^credential_revoked: /);
    expect(await tell(newKey({ expiresAtMs: Date.now() + 60_000 }))).toContain('expiresAtMs');
    expect(await tell(newKey({ boundTo: ['tag:ci'] }))).toMatch(/^credential_invalid: .*network/);
    state = reduce(state, { kind: 'key.revoked', id: 'key_1', atMs: Date.now() });
    expect(await tell(key)).toMatch(/^credential_revoked: /);
  });

  test('no other header, whatever it says, makes a caller known', async () => {
    const identify = identifyWith({}, { serve: createServeAuthenticator(undefined) });
    const listener = await open({ kind: 'public', handler: telling(identify) });
    const names = [
      'tailscale-user-login',
      'x-forwarded-user',
      'user-agent',
      'x-postern-principal',
      'cookie',
      'authorization',
      'x-api-key',
      'from',
      'x-dstack-app-id',
      'host',
    ];
    const value = fc.constantFrom(
      'alice@example.com',
      'admin',
      'kube-probe/1.0',
      'Basic YTpi',
      'Bearer local',
      '127.0.0.1',
      'pst_',
    );
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 5 }),
        async (headers) => {
          expect(await ask(listener, headers).catch(() => '')).not.toContain('"subject"');
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('identity headers', () => {
  const headers = { 'tailscale-user-login': 'alice@example.com', 'x-forwarded-for': '100.64.0.2' };
  const robot = tailnetNode('n7', 'ci.mesh.example', ['tag:ci'], ['100.64.0.7']);
  const identify = () =>
    identifyWith(
      {},
      {
        serve: createServeAuthenticator((address) =>
          Promise.resolve(ok(address === '100.64.0.7' ? { principal: robot } : undefined)),
        ),
      },
    );

  async function serveSocket(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'postern-serve-'));
    closing.push(() => Promise.resolve(rmSync(folder, { recursive: true, force: true })));
    const path = join(folder, 'serve.sock');
    await open({
      kind: 'serve',
      bind: { kind: 'unix', path, mode: 0o600 },
      believedHeaders: serveHeaderNames,
      handler: telling(identify()),
    });
    return path;
  }

  test('count on the serve socket', async () => {
    const path = await serveSocket();
    expect(await ask(path, headers)).toContain('"id":"alice@example.com"');
    expect(await ask(path, { 'x-forwarded-for': '100.64.0.7' })).toContain('"id":"node:n7"');
    expect(await ask(path, { 'x-forwarded-for': '100.64.0.9' })).toMatch(/^credential_missing: /);
    expect(await ask(path, {})).toMatch(/^credential_missing: /);
    expect(await ask(path, { ...headers, 'tailscale-funnel-request': '?1' })).toMatch(
      /^access_denied/,
    );
    expect(await ask(path, { ...headers, 'x-api-key': newKey() })).toMatch(/"key_1".*"via"/);
  });

  test.each(['gateway', 'public', 'tailnet', 'admin'] as const)(
    'count for nothing on %s',
    async (kind) => {
      const listener = await open({ kind, bind: loopback, handler: telling(identify()) });
      expect(await ask(listener, headers)).toMatch(
        /^(?:credential_missing|local_operator_refused): /,
      );
    },
  );
});

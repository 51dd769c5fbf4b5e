import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal, refuse } from '@postern/core/errors';
import type { Principal } from '@postern/core/identity';
import { describe, expect, test } from 'vitest';
import type { HttpRequest, ListenerKind } from '../http/index.ts';
import type { IdentifyOptions } from './identify.ts';
import { createIdentify } from './identify.ts';
import type {
  CredentialAuthenticator,
  ServeIdentity,
  VerifiedCredential,
} from './identity-ports.ts';

const nowMs = 1_800_000_000_000;

function principal(authority: Principal['authority'], id: string, selectors: string[]): Principal {
  return { authority, id, kind: 'user', display: id, selectors };
}

const alice = principal('tailnet', 'alice@example.com', ['alice@example.com']);
const owner: Principal = { ...principal('local', 'uid:1000', []), kind: 'operator' };
const key = principal('key', 'key_1', []);
const subject = principal('jwt', 'https://id.example#7', []);
const down = refusal('state_unavailable', 'The mesh daemon does not answer.');

function authenticator(
  prefix: string,
  answers: Readonly<Record<string, Result<VerifiedCredential, Refusal>>>,
): CredentialAuthenticator {
  return {
    claims: (token) => token.startsWith(prefix),
    verify: (token) => Promise.resolve(answers[token] ?? refuse('credential_invalid', 'Unknown.')),
  };
}

const keys = authenticator('pst_', {
  pst_good: ok({ subject: key, scope: { models: ['local/**'] } }),
  pst_bound: ok({ subject: key, boundTo: ['alice@example.com'] }),
  pst_bob: ok({ subject: key, boundTo: ['bob@example.com'] }),
  pst_expired: refuse('credential_expired', 'Expired.'),
});
const tokens = authenticator('eyJ', {
  eyJgood: ok({ subject, expiresAtMs: nowMs + 1 }),
  eyJdown: refuse('state_unavailable', 'No keys.'),
});

interface Situation {
  readonly network?: 'alice' | 'nobody' | 'down' | 'funnel';
  readonly operator?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly peer?: Partial<HttpRequest['peer']>;
}

function ask(listener: ListenerKind, situation: Situation, more: Partial<IdentifyOptions> = {}) {
  const network = situation.network ?? 'nobody';
  const whois = () =>
    Promise.resolve(
      network === 'down' ? err(down) : ok(network === 'alice' ? { principal: alice } : undefined),
    );
  const serve = (): Promise<Result<ServeIdentity, Refusal>> => {
    if (network === 'down') return Promise.resolve(err(down));
    if (network === 'alice')
      return Promise.resolve(ok({ kind: 'known', identity: { principal: alice } }));
    return Promise.resolve(ok({ kind: network === 'funnel' ? 'funnel' : 'unknown' }));
  };
  const identify = createIdentify({
    keys,
    tokens,
    whois,
    routedWhois: whois,
    serve,
    owner,
    operator: () =>
      Promise.resolve(
        situation.operator === true ? ok(owner) : refuse('local_operator_refused', 'No.'),
      ),
    tailnetAddresses: () => ['100.64.0.1', 'fd7a:115c:a1e0::1'],
    ...more,
  });
  return identify(request(listener, situation));
}

function request(listener: ListenerKind, situation: Situation): HttpRequest {
  const headers = new Map(Object.entries(situation.headers ?? {}));
  const isTailnet = listener === 'tailnet' || listener === 'routed';
  const peer = {
    transport: 'tcp' as const,
    address: isTailnet ? '100.64.0.2' : '127.0.0.1',
    port: 50_000,
    localAddress: isTailnet ? '100.64.0.1' : '127.0.0.1',
    localPort: 8_080,
    ...situation.peer,
  };
  return {
    id: 'r1',
    listener,
    method: 'POST',
    path: '/ask',
    query: '',
    headers,
    peer,
    clientAddress: peer.address,
    sawForwarding: false,
    sawIdentityHeaders: false,
    evidence: undefined,
    receivedAtMs: nowMs,
    signal: new AbortController().signal,
    readBody: () => Promise.resolve(ok(new Uint8Array())),
  };
}

/** `who` or `who via network`, else the code of the refusal. */
async function told(
  listener: ListenerKind,
  situation: Situation,
  more: Partial<IdentifyOptions> = {},
): Promise<string> {
  const result = await ask(listener, situation, more);
  if (!result.ok) return result.error.code;
  const { subject: who, via } = result.value;
  return via === undefined ? who.authority : `${who.authority} via ${via.authority}`;
}

const credentials: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  nothing: {},
  dash: { authorization: 'Bearer -' },
  foreign: { 'x-api-key': 'sk-ant-1' },
  sigv4: { authorization: 'AWS4-HMAC-SHA256 Credential=x/y, SignedHeaders=host, Signature=z' },
  key: { authorization: 'Bearer pst_good' },
  'key in x-api-key': { 'x-api-key': 'pst_good' },
  'key in api-key': { 'api-key': 'pst_good' },
  'key and foreign': { authorization: 'bearer pst_good', 'x-api-key': 'sk-1' },
  'bad key': { authorization: 'Bearer pst_bad' },
  'expired key': { 'x-api-key': 'pst_expired' },
  token: { authorization: 'Bearer eyJgood' },
  'bad token': { authorization: 'Bearer eyJbad' },
  'token that cannot be judged': { authorization: 'Bearer eyJdown' },
  'two credentials': { authorization: 'Bearer pst_good', 'x-api-key': 'pst_bound' },
  'the same twice': { authorization: 'Bearer pst_good', 'x-api-key': 'pst_good' },
};

const missing = 'credential_missing';
const invalid = 'credential_invalid';
const unavailable = 'state_unavailable';

/** What each listener answers: [no network identity, network identity, network cannot be asked]. */
const expectations: Readonly<
  Partial<Record<ListenerKind, Readonly<Record<string, readonly [string, string, string]>>>>
> = {
  gateway: {
    nothing: ['local_operator_refused', 'tailnet', unavailable],
    dash: ['local_operator_refused', 'tailnet', unavailable],
    foreign: ['local_operator_refused', 'tailnet', unavailable],
    sigv4: ['local_operator_refused', 'tailnet', unavailable],
    key: ['key', 'key via tailnet', 'key'],
    'key in x-api-key': ['key', 'key via tailnet', 'key'],
    'key in api-key': ['key', 'key via tailnet', 'key'],
    'key and foreign': ['key', 'key via tailnet', 'key'],
    'bad key': [invalid, invalid, invalid],
    'expired key': ['credential_expired', 'credential_expired', 'credential_expired'],
    token: ['jwt', 'jwt via tailnet', 'jwt'],
    'bad token': [invalid, invalid, invalid],
    'token that cannot be judged': [unavailable, unavailable, unavailable],
    'two credentials': [invalid, invalid, invalid],
    'the same twice': ['key', 'key via tailnet', 'key'],
  },
  serve: {
    nothing: [missing, 'tailnet', unavailable],
    dash: [invalid, 'tailnet', unavailable],
    key: [missing, 'key via tailnet', unavailable],
    'bad key': [invalid, invalid, invalid],
    token: [missing, 'jwt via tailnet', unavailable],
  },
  tailnet: {
    nothing: [missing, 'tailnet', unavailable],
    foreign: [invalid, 'tailnet', unavailable],
    key: [missing, 'key via tailnet', unavailable],
    'bad key': [invalid, invalid, invalid],
    token: [missing, 'jwt via tailnet', unavailable],
    'bad token': [invalid, invalid, invalid],
  },
  routed: {
    nothing: [missing, 'tailnet', unavailable],
    key: [missing, 'key via tailnet', unavailable],
    'bad key': [invalid, invalid, invalid],
  },
  public: {
    nothing: [missing, missing, missing],
    dash: [invalid, invalid, invalid],
    key: ['key', 'key', 'key'],
    'bad key': [invalid, invalid, invalid],
    token: ['jwt', 'jwt', 'jwt'],
  },
  'control-socket': {
    nothing: ['local', 'local', 'local'],
    dash: ['local', 'local', 'local'],
    key: ['key via local', 'key via local', 'key via local'],
    'bad key': [invalid, invalid, invalid],
  },
  control: {
    nothing: [missing, missing, missing],
    key: ['key', 'key', 'key'],
    token: [invalid, invalid, invalid],
    'bad key': [invalid, invalid, invalid],
  },
  admin: {
    nothing: [missing, 'tailnet', unavailable],
    foreign: [invalid, 'tailnet', unavailable],
    key: ['key', 'key via tailnet', 'key'],
    token: ['jwt', 'jwt via tailnet', 'jwt'],
    'bad key': [invalid, invalid, invalid],
  },
};

const cells = Object.entries(expectations).flatMap(([listener, rows]) =>
  Object.entries(rows).flatMap(([credential, answers]) =>
    (['nobody', 'alice', 'down'] as const).map(
      (network, i) => [listener, credential, network, answers[i] ?? ''] as const,
    ),
  ),
);

describe('who is believed', () => {
  test.each(cells)(
    'on %s with %s and %s on the network: %s',
    async (listener, credential, network, expected) => {
      const headers = credentials[credential];
      // Object.entries widens the keys of the table above, which are listener kinds.
      expect(await told(listener as ListenerKind, { network, ...(headers && { headers }) })).toBe(
        expected,
      );
    },
  );
});

describe('the local operator', () => {
  test('is believed on the gateway listener alone, and may not administer', async () => {
    expect(await ask('gateway', { operator: true })).toEqual(
      ok({ subject: owner, scope: { admin: false } }),
    );
    expect(await told('admin', { operator: true })).toBe(missing);
    expect(await told('public', { operator: true })).toBe(missing);
    expect(await told('tailnet', { operator: true })).toBe(missing);
  });

  test('is believed although the mesh daemon does not answer, since its proof is complete', async () => {
    expect(await told('gateway', { operator: true, network: 'down' })).toBe('local');
  });

  test('is not even considered for a caller from another machine', async () => {
    const peer = { address: '192.0.2.7' };
    expect(await told('gateway', { operator: true, peer })).toBe(missing);
    const headers = { 'api-key': 'sk-1' };
    expect(await told('gateway', { operator: true, peer, headers })).toBe(invalid);
  });

  test('a key that claims to be ours is never ignored because its sender is the operator', async () => {
    const headers = { authorization: 'Bearer pst_bad' };
    expect(await told('gateway', { operator: true, headers })).toBe(invalid);
    expect(await told('gateway', { operator: true, headers: { 'api-key': '-' } })).toBe('local');
  });
});

describe('keys that are bound to network principals', () => {
  const bound = { authorization: 'Bearer pst_bound' };
  test('work only through one of them', async () => {
    expect(await told('gateway', { headers: bound, network: 'alice' })).toBe('key via tailnet');
    expect(await told('gateway', { headers: bound })).toBe(invalid);
    expect(await told('public', { headers: bound, network: 'alice' })).toBe(invalid);
    const bob = { authorization: 'Bearer pst_bob' };
    expect(await told('gateway', { headers: bob, network: 'alice' })).toBe(invalid);
  });
  test('are neither believed nor refused while the network cannot be asked', async () => {
    expect(await told('gateway', { headers: bound, network: 'down' })).toBe(unavailable);
  });
});

describe('network identity', () => {
  test('counts on the tailnet listener only at an address of this node', async () => {
    const at = (localAddress: string | undefined) =>
      told('tailnet', { network: 'alice', peer: { localAddress } });
    expect(await at('127.0.0.1')).toBe(missing);
    expect(await at('100.64.0.9')).toBe(missing);
    expect(await at(undefined)).toBe(missing);
    expect(await at('::ffff:100.64.0.1')).toBe('tailnet');
    expect(await at('fd7a:115c:a1e0:0::1')).toBe('tailnet');
  });

  test('is asked for by address and port, IPv4-mapped forms as IPv4', async () => {
    const asked: string[] = [];
    const whois = (address: string) => {
      asked.push(address);
      return Promise.resolve(ok(undefined));
    };
    const here = { localAddress: '100.64.0.1' };
    await ask('gateway', { peer: { ...here, address: '::ffff:100.64.0.2' } }, { whois });
    await ask('gateway', { peer: { ...here, address: 'fd7a:115c:a1e0::2' } }, { whois });
    await ask('gateway', {}, { whois });
    expect(asked).toEqual(['100.64.0.2:50000', '[fd7a:115c:a1e0::2]:50000', '127.0.0.1:50000']);
  });

  test('of a remote address does not count where it arrived beside the mesh', async () => {
    const peer = { address: '100.64.0.2', localAddress: '192.168.1.5' };
    expect(await told('gateway', { network: 'alice', peer })).toBe(missing);
    expect(await told('admin', { network: 'alice', peer })).toBe(missing);
    const onMesh = { address: '100.64.0.2', localAddress: '100.64.0.1' };
    expect(await told('gateway', { network: 'alice', peer: onMesh })).toBe('tailnet');
  });

  test('Funnel is no network identity, and its callers need publicEdge.funnel and a credential', async () => {
    const headers = { authorization: 'Bearer pst_good' };
    expect(await told('serve', { network: 'funnel' })).toBe('access_denied');
    expect(await told('serve', { network: 'funnel', headers })).toBe('access_denied');
    const open = { acceptFunnel: true };
    expect(await told('serve', { network: 'funnel' }, open)).toBe(missing);
    expect(await told('serve', { network: 'funnel', headers }, open)).toBe('key');
  });

  test('a listener that does not identify callers this way is a defect, not a refusal', async () => {
    await expect(told('mesh-inbound', {})).rejects.toThrow('a row of trust');
  });
});

describe('credentials as sent', () => {
  const cases: readonly (readonly [string, Readonly<Record<string, string>>, string])[] = [
    ['Bearer is missing', { authorization: 'pst_good' }, 'the word Bearer is missing'],
    [
      'two keys in one header',
      { authorization: 'Bearer pst_good, Bearer pst_x' },
      'more than one key',
    ],
    ['a key after a foreign one', { 'x-api-key': 'sk-1, pst_good' }, 'more than one key'],
    ['Bearer twice', { authorization: 'Bearer Bearer pst_good' }, 'more than one key'],
    ['a key with a space', { 'x-api-key': 'pst_go od' }, 'more than one key'],
    ['an endless credential', { 'x-api-key': 'x'.repeat(8_193) }, 'longer than 8192'],
  ];
  test.each(cases)('%s is refused with a sentence', async (_name, headers, sentence) => {
    const result = await ask('gateway', { headers, network: 'alice' });
    expect(result.ok ? '' : result.error.message).toContain(sentence);
    expect(result.ok ? '' : result.error.code).toBe(invalid);
  });
});

describe('bad credentials', () => {
  test('a thousand from one source are answered 429, and nobody else notices', async () => {
    const identify = createIdentify({ keys, owner });
    const at = (address: string, authorization: string) =>
      identify(request('public', { headers: { authorization }, peer: { address } }));
    for (let i = 0; i < 1_000; i += 1) {
      const result = await at('192.0.2.1', `Bearer pst_${i}`);
      expect(!result.ok && result.error.code).toBe(invalid);
    }
    const limited = await at('192.0.2.1', 'Bearer pst_more');
    expect(!limited.ok && limited.error).toMatchObject({ code: 'rate_limited', retryAfterMs: 600 });
    expect((await at('192.0.2.1', 'Bearer pst_good')).ok).toBe(true);
    const neighbour = await at('192.0.2.2', 'Bearer pst_bad');
    expect(!neighbour.ok && neighbour.error.code).toBe(invalid);
  });

  test('missing credentials and infrastructure failures do not count', async () => {
    const identify = createIdentify({ keys, tokens, owner });
    for (let i = 0; i < 1_500; i += 1) {
      await identify(request('public', {}));
      await identify(request('public', { headers: { authorization: 'Bearer eyJdown' } }));
    }
    const result = await identify(request('public', { headers: { 'api-key': 'pst_bad' } }));
    expect(!result.ok && result.error.code).toBe(invalid);
  });
});

describe('the same head again on one connection', () => {
  const headers = new Map([['authorization', 'Bearer pst_good']]);
  // The members that identification reads.
  const request = (receivedAtMs: number, own = headers): HttpRequest =>
    ({
      listener: 'gateway',
      peer: { transport: 'tcp', address: '127.0.0.1', port: 1 },
      headers: own,
      receivedAtMs,
    }) as unknown as HttpRequest;

  function counted(more: Partial<IdentifyOptions> = {}) {
    const state = { asked: 0, holds: true };
    const verify: CredentialAuthenticator['verify'] = () => {
      state.asked += 1;
      const stillHolds = (at: number): boolean => state.holds && at < nowMs + 100;
      return Promise.resolve(
        state.holds ? ok({ subject: key, stillHolds }) : refuse('credential_revoked', 'Revoked.'),
      );
    };
    const own = { claims: () => true, verify };
    return { state, identify: createIdentify({ keys: own, owner, ...more }) };
  }

  test('is not verified twice, until what it was verified against changes', async () => {
    const { state, identify } = counted();
    const first = await identify(request(nowMs));
    expect(await identify(request(nowMs + 1))).toEqual(first);
    expect(state.asked).toBe(1);
    state.holds = false;
    expect(await identify(request(nowMs + 2))).toMatchObject({
      ok: false,
      error: { code: 'credential_revoked' },
    });
  });

  test('is verified again once the credential may have expired', async () => {
    const { state, identify } = counted();
    await identify(request(nowMs));
    await identify(request(nowMs + 100));
    expect(state.asked).toBe(2);
  });

  test('is verified for each head that is another one, also with the same text', async () => {
    const { state, identify } = counted();
    await identify(request(nowMs));
    await identify(request(nowMs, new Map(headers)));
    expect(state.asked).toBe(2);
  });

  test('is asked of the network each time where there is one', async () => {
    let looked = 0;
    const whois = () => {
      looked += 1;
      return Promise.resolve(ok(undefined));
    };
    const { identify } = counted({ whois });
    await identify(request(nowMs));
    await identify(request(nowMs));
    expect(looked).toBe(2);
  });
});

import { generateKeyPairSync, sign as signBytes, createHmac } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { createIdentityMap } from '@postern/core/identity';
import { emptyState, reduce } from '@postern/core/state';
import type { RevocationTarget, State } from '@postern/core/state';
import { SignJWT } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { createTokenAuthenticator } from './authenticator.ts';
import type { TokenIssuer } from './authenticator.ts';
import type { LoadKeySet } from './issuer-keys.ts';
import { PublishedKeys } from './issuer-keys.ts';

const issuer = 'https://id.example';
const startMs = 1_800_000_000_000;
const seconds = startMs / 1_000;

const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ec2 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ec384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1_024 });
const ed = generateKeyPairSync('ed25519');

function jwk(key: KeyObject, more: Readonly<Record<string, unknown>>) {
  return { ...key.export({ format: 'jwk' }), ...more };
}

const set1 = [
  jwk(ec.publicKey, { kid: 'ec' }),
  jwk(rsa.publicKey, { kid: 'rsa' }),
  jwk(ed.publicKey, { kid: 'ed' }),
  jwk(weakRsa.publicKey, { kid: 'weak' }),
];

let clockMs: number;
let published: Result<unknown, Refusal>;
let loads: number;
let state: State;

beforeEach(() => {
  clockMs = startMs;
  published = ok({ keys: set1 });
  loads = 0;
  state = emptyState();
});

const base: Omit<TokenIssuer, 'keys'> = {
  issuer,
  audience: ['postern'],
  algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA'],
  leewaySeconds: 60,
  lifetimeSecondsMax: 86_400,
  displayClaim: 'email',
};

const loadPublished: LoadKeySet = () => {
  loads += 1;
  const now = published;
  return Promise.resolve(now.ok ? ok(new TextEncoder().encode(JSON.stringify(now.value))) : now);
};

function publishedKeys(load: LoadKeySet = loadPublished): PublishedKeys {
  return new PublishedKeys({ issuer, load, nowMs: () => clockMs, monotonicMs: () => clockMs });
}

function authenticator(more: Partial<TokenIssuer> = {}) {
  const tokens = createTokenAuthenticator({
    issuers: [{ ...base, keys: publishedKeys(), ...more }],
    state: () => state,
    identityMap: () => createIdentityMap([{ issuer, claim: 'email', as: [] }]),
  });
  return {
    claims: (token: string) => tokens.claims(token),
    verify: (token: string) => tokens.verify(token, clockMs),
    /** The subject, or the code of the refusal. */
    told: async (token: string) => {
      expect(tokens.claims(token)).toBe(true);
      const result = await tokens.verify(token, clockMs);
      return result.ok ? result.value.subject.id : result.error.code;
    },
  };
}

const claims = (more: Record<string, unknown> = {}) => ({
  iss: issuer,
  sub: 'u1',
  aud: 'postern',
  iat: Math.floor(clockMs / 1_000),
  exp: Math.floor(clockMs / 1_000) + 3_600,
  ...more,
});

function token(
  more: Record<string, unknown> = {},
  header: Record<string, unknown> & { alg?: string } = {},
) {
  const keys = new Map([
    ['RS256', rsa],
    ['PS256', rsa],
    ['EdDSA', ed],
    ['Ed25519', ed],
  ]);
  const key = keys.get(header.alg ?? 'ES256');
  return new SignJWT(claims(more))
    .setProtectedHeader({ alg: 'ES256', kid: 'ec', ...header })
    .sign((key ?? ec).privateKey);
}

function part(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return Buffer.from(text).toString('base64url');
}

/** A token whose header and claims are any text, signed with ES256 all the same. */
function raw(header: unknown, payload: unknown, key = ec.privateKey): string {
  const input = `${part(header)}.${part(payload)}`;
  const signature = signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

const id = `${issuer}#u1`;

function revoke(target: RevocationTarget): void {
  state = reduce(state, {
    kind: 'revocation.created',
    revocation: { id: `rev_${target.by}`, target, atMs: clockMs, createdBy: 'local:uid:0' },
  });
}

describe('a token of a configured issuer', () => {
  test.each(['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'])('verifies with %s', async (alg) => {
    const kid = alg.startsWith('E') ? (alg === 'ES256' ? 'ec' : 'ed') : 'rsa';
    expect(await authenticator().told(await token({}, { alg, kid }))).toBe(id);
  });

  test('is a principal of its own authority, mapped by verified e-mail alone', async () => {
    const { verify } = authenticator();
    const verified = await verify(await token({ email: 'a@example.com', email_verified: true }));
    expect(verified).toEqual(
      ok({
        subject: {
          authority: 'jwt',
          id,
          kind: 'user',
          display: 'a@example.com',
          selectors: ['a@example.com'],
        },
        expiresAtMs: clockMs + 3_600_000,
      }),
    );
    for (const more of [
      { email: 'a@example.com' },
      { email: 'a@example.com', email_verified: 'true' },
      { email: 'a@evil@example.com', email_verified: true },
      { email: 'group:a@example.com', email_verified: true },
    ]) {
      const result = await verify(await token(more));
      expect(result.ok && result.value.subject.selectors).toEqual([]);
    }
  });

  test('of another issuer, or of no issuer, is nobody’s', () => {
    const { claims } = authenticator();
    expect(claims(raw({ alg: 'ES256' }, { iss: 'https://other.example' }))).toBe(false);
    expect(claims('sk-proj-abc')).toBe(false);
    expect(claims('-')).toBe(false);
    expect(claims('a.b.c')).toBe(false);
    expect(claims('a.b.c.d.e')).toBe(false);
    expect(claims(raw({ alg: 'ES256' }, { iss: [issuer] }))).toBe(false);
  });
});

describe('refused, whatever the signature', () => {
  const code = 'credential_invalid';
  const cases: readonly (readonly [string, () => string | Promise<string>, string])[] = [
    ['no algorithm', () => `${part({ alg: 'none' })}.${part(claims())}.`, code],
    ['an algorithm that is not configured', () => raw({ alg: 'ES384', kid: 'ec' }, claims()), code],
    ['HMAC keyed with the public key', () => confused(), code],
    [
      'a key of another kind than the algorithm',
      () => raw({ alg: 'RS256', kid: 'ec' }, claims()),
      code,
    ],
    ['a weak RSA key', () => signWeak(), code],
    [
      'another key of the right kind',
      () => raw({ alg: 'ES256', kid: 'ec' }, claims(), ec2.privateKey),
      code,
    ],
    ['a critical extension', () => raw({ alg: 'ES256', kid: 'ec', crit: ['exp'] }, claims()), code],
    [
      'an empty list of critical extensions',
      () => raw({ alg: 'ES256', kid: 'ec', crit: [] }, claims()),
      code,
    ],
    ['unencoded payloads', () => raw({ alg: 'ES256', kid: 'ec', b64: false }, claims()), code],
    ['a logout token', () => token({}, { typ: 'logout+jwt' }), code],
    [
      'a key id that is too long',
      () => raw({ alg: 'ES256', kid: 'x'.repeat(129) }, claims()),
      code,
    ],
    ['a key id that is no text', () => raw({ alg: 'ES256', kid: 1 }, claims()), code],
    [
      'a claim that is there twice',
      () =>
        raw({ alg: 'ES256', kid: 'ec' }, JSON.stringify(claims()).replace('{', '{"sub":"root",')),
      code,
    ],
    [
      'a header member that is there twice',
      () => raw('{"alg":"none","alg":"ES256","kid":"ec"}', claims()),
      code,
    ],
    ['no expiry', () => token({ exp: undefined }), code],
    ['an expiry as text', () => token({ exp: String(seconds + 60) }), code],
    ['a fraction of a second', () => token({ exp: seconds + 60.5 }), code],
    ['an expiry in milliseconds', () => token({ exp: startMs + 60_000 }), code],
    ['a negative date', () => token({ nbf: -1 }), code],
    [
      'an endless date',
      () =>
        raw(
          { alg: 'ES256', kid: 'ec' },
          JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e400'),
        ),
      code,
    ],
    ['a life of more than a day', () => token({ exp: seconds + 86_401 }), code],
    [
      'a life of years that began long ago',
      () => token({ iat: seconds - 86_400, exp: seconds + 60 }),
      code,
    ],
    ['issued in the future', () => token({ iat: seconds + 61 }), code],
    ['not valid yet', () => token({ nbf: seconds + 61 }), code],
    [
      'expired for a minute',
      () => token({ iat: seconds - 600, exp: seconds - 60 }),
      'credential_expired',
    ],
    ['another audience', () => token({ aud: 'other' }), code],
    ['no audience', () => token({ aud: undefined }), code],
    ['an audience that is a number among texts', () => token({ aud: ['postern', 1] }), code],
    ['no subject', () => token({ sub: undefined }), code],
    ['an empty subject', () => token({ sub: '' }), code],
    ['a subject with control characters', () => token({ sub: 'a\nb' }), code],
    ['a token id that is a number', () => token({ jti: 7 }), code],
  ];
  test.each(cases)('%s', async (_name, make, expected) => {
    expect(await authenticator().told(await make())).toBe(expected);
  });

  function confused(): string {
    const input = `${part({ alg: 'HS256', kid: 'rsa' })}.${part(claims())}`;
    const pem = rsa.publicKey.export({ format: 'pem', type: 'spki' });
    return `${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`;
  }

  function signWeak(): string {
    const input = `${part({ alg: 'RS256', kid: 'weak' })}.${part(claims())}`;
    return `${input}.${signBytes('sha256', Buffer.from(input), weakRsa.privateKey).toString('base64url')}`;
  }

  test('changing any character of a good token', async () => {
    const good = await token();
    const { verify } = authenticator();
    expect((await verify(good)).ok).toBe(true);
    for (let i = 0; i < good.length; i += 1) {
      const other = good[i] === 'A' ? 'B' : 'A';
      const changed = good.slice(0, i) + other + good.slice(i + 1);
      expect((await verify(changed)).ok).toBe(false);
    }
  });
});

describe('accepted', () => {
  const cases: readonly (readonly [string, Record<string, unknown>, Record<string, unknown>])[] = [
    ['within the leeway after expiry', { iat: seconds - 600, exp: seconds - 59 }, {}],
    ['within the leeway before its time', { nbf: seconds + 60, iat: seconds + 60 }, {}],
    ['one audience of several', { aud: ['a', 'postern'] }, {}],
    ['type at+jwt', {}, { typ: 'application/at+jwt' }],
    [
      'keys and addresses of keys inside, which are not looked at',
      {},
      {
        jku: 'https://evil.example/jwks',
        x5u: 'https://evil.example/x',
        jwk: jwk(ec2.publicKey, {}),
      },
    ],
    ['a day of life', { exp: seconds + 86_400 }, {}],
  ];
  test.each(cases)('%s', async (_name, more, header) => {
    expect(await authenticator().told(await token(more, header))).toBe(id);
    expect(loads).toBe(1);
  });

  test('no key id, where one key fits', async () => {
    expect(await authenticator().told(raw({ alg: 'ES256' }, claims()))).toBe(id);
    published = ok({ keys: [jwk(ec.publicKey, { kid: 'a' }), jwk(ec2.publicKey, { kid: 'b' })] });
    expect(await authenticator().told(raw({ alg: 'ES256' }, claims()))).toBe('credential_invalid');
  });

  test('key ids that look like paths, code or prototypes, where they are published', async () => {
    for (const kid of ['../../etc/passwd', "' OR 1=1 --", '__proto__', 'constructor', '']) {
      const { told } = authenticator();
      expect(await told(raw({ alg: 'ES256', kid }, claims()))).toBe('credential_invalid');
      published = ok({ keys: [jwk(ec.publicKey, { kid })] });
      clockMs += 31_000;
      expect(await told(raw({ alg: 'ES256', kid }, claims()))).toBe(id);
      published = ok({ keys: set1 });
    }
  });
});

describe('two tokens that share header and prefix', () => {
  test('never share an identity', async () => {
    const { told } = authenticator();
    const padding = 'x'.repeat(2_000);
    const header = { alg: 'ES256', kid: 'ec' };
    const { sub: _, ...shared } = claims();
    const one = raw(header, { pad: padding, ...shared, sub: 'u1' });
    const two = raw(header, { pad: padding, ...shared, sub: 'u2' });
    expect(one.slice(0, 1_000)).toBe(two.slice(0, 1_000));
    for (let i = 0; i < 3; i += 1) {
      expect(await told(one)).toBe(id);
      expect(await told(two)).toBe(`${issuer}#u2`);
    }
    const forged = `${one.slice(0, one.lastIndexOf('.'))}.${two.slice(two.lastIndexOf('.') + 1)}`;
    expect(await told(forged)).toBe('credential_invalid');
  });
});

describe('a remembered token', () => {
  test('ends with its expiry', async () => {
    const { told } = authenticator();
    const good = await token({ exp: seconds + 100 });
    expect(await told(good)).toBe(id);
    clockMs += 159_000;
    expect(await told(good)).toBe(id);
    clockMs += 1_000;
    expect(await told(good)).toBe('credential_expired');
  });

  test.each<readonly [string, RevocationTarget]>([
    ['token id', { by: 'token', issuer, tokenId: 't1' }],
    ['subject', { by: 'subject', issuer, subject: 'u1' }],
    ['issuer epoch', { by: 'issuer', issuer, issuedBeforeMs: startMs + 1 }],
  ])('is refused with the next request after a revocation by %s', async (_name, target) => {
    const { told } = authenticator();
    const good = await token({ jti: 't1' });
    const other = await token({ jti: 't2', sub: 'u2', iat: seconds + 2 });
    expect(await told(good)).toBe(id);
    expect(await told(other)).toBe(`${issuer}#u2`);
    revoke(target);
    expect(await told(good)).toBe('credential_revoked');
    expect(await told(other)).toBe(`${issuer}#u2`);
  });

  test('ends when its key is withdrawn', async () => {
    const { told } = authenticator();
    const good = await token();
    expect(await told(good)).toBe(id);
    published = ok({ keys: [jwk(ec2.publicKey, { kid: 'new' })] });
    clockMs += 300_000;
    expect(await told(good)).toBe(id);
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    clockMs += 30_000;
    expect(await told(good)).toBe('credential_invalid');
  });
});

describe('published keys', () => {
  test('a rotation refuses nobody: old and new tokens go on', async () => {
    const { told } = authenticator();
    const old = await token();
    expect(await told(old)).toBe(id);
    clockMs += 31_000;
    published = ok({ keys: [...set1, jwk(ec2.publicKey, { kid: 'ec2' })] });
    const fresh = raw({ alg: 'ES256', kid: 'ec2' }, claims({ sub: 'u2' }), ec2.privateKey);
    expect(await Promise.all([told(fresh), told(old), told(fresh), told(old)])).toEqual([
      `${issuer}#u2`,
      id,
      `${issuer}#u2`,
      id,
    ]);
    expect(loads).toBe(2);
  });

  test('a new key between two loads is 503 with the time to wait, never 401', async () => {
    const { told, verify } = authenticator();
    expect(await told(await token())).toBe(id);
    clockMs += 10_000;
    published = ok({ keys: [...set1, jwk(ec2.publicKey, { kid: 'ec2' })] });
    const fresh = raw({ alg: 'ES256', kid: 'ec2' }, claims(), ec2.privateKey);
    const result = await verify(fresh);
    expect(!result.ok && result.error).toMatchObject({
      code: 'state_unavailable',
      retryAfterMs: 20_000,
    });
    clockMs += 20_000;
    expect(await told(fresh)).toBe(id);
  });

  test('ten thousand unknown key ids are one load in 30 s', async () => {
    const { verify } = authenticator();
    await verify(await token());
    const codes = new Set<string>();
    for (let i = 0; i < 10_000; i += 1) {
      clockMs += 3;
      const unknown = `${part({ alg: 'ES256', kid: `k${i}` })}.${part(claims({ iat: seconds - 3_600 }))}.AA`;
      const result = await verify(unknown);
      if (!result.ok) codes.add(result.error.code);
    }
    expect(loads).toBe(2);
    expect([...codes]).toEqual(['credential_invalid']);
  });

  test('parallel requests share one load', async () => {
    const { told } = authenticator();
    const tokens = await Promise.all(Array.from({ length: 50 }, (_, i) => token({ jti: `${i}` })));
    expect(new Set(await Promise.all(tokens.map(told)))).toEqual(new Set([id]));
    expect(loads).toBe(1);
  });

  const down = err(refusal('upstream_unavailable', 'connection refused'));
  test('an issuer that is down from the start is 503', async () => {
    published = down;
    const { told } = authenticator();
    expect(await told(await token())).toBe('state_unavailable');
    published = ok({ keys: set1 });
    expect(await told(await token())).toBe('state_unavailable');
    clockMs += 30_000;
    expect(await told(await token())).toBe(id);
    expect(loads).toBe(2);
  });

  test.each<readonly [string, Result<unknown, Refusal>]>([
    ['down', down],
    ['empty', ok({ keys: [] })],
    ['not a set', ok('hello')],
    ['huge', ok({ keys: set1, pad: 'x'.repeat(65_536) })],
    ['private keys', ok({ keys: [jwk(ec.privateKey, { kid: 'ec' })] })],
    ['secrets', ok({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'ec' }] })],
    ['encryption keys', ok({ keys: [jwk(ec.publicKey, { kid: 'ec', use: 'enc' })] })],
    ['other curves', ok({ keys: [jwk(ec384.publicKey, { kid: 'ec', alg: 'ES384', d: 'x' })] })],
  ])(
    'the last good set counts four hours while the issuer gives what is %s, then 503',
    async (_name, bad) => {
      const { told } = authenticator();
      expect(await told(await token())).toBe(id);
      published = bad;
      clockMs += 4 * 3_600_000;
      expect(await told(await token())).toBe(id);
      clockMs += 1;
      expect(await told(await token())).toBe('state_unavailable');
      published = ok({ keys: set1 });
      clockMs += 30_000;
      expect(await told(await token())).toBe(id);
    },
  );

  test('one PEM key answers for every key id', async () => {
    const pem = ec.publicKey.export({ format: 'pem', type: 'spki' });
    const load = () => Promise.resolve(ok(Buffer.from(pem)));
    const { told } = authenticator({ keys: publishedKeys(load) });
    expect(await told(await token({}, { kid: 'whatever' }))).toBe(id);
    const secret = ec.privateKey.export({ format: 'pem', type: 'pkcs8' });
    const loadSecret = () => Promise.resolve(ok(Buffer.from(secret)));
    const wrong = authenticator({ keys: publishedKeys(loadSecret) });
    expect(await wrong.told(await token())).toBe('state_unavailable');
  });
});

import { createHmac, generateKeyPairSync } from 'node:crypto';
import type { JsonObject } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { createIdentityMap } from '@postern/core/identity';
import { emptyState } from '@postern/core/state';
import { SignJWT } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { createTokenAuthenticator, SharedSecret } from './index.ts';

const issuer = 'https://project.supabase.example/auth/v1';
const nowMs = 1_800_000_000_000;
const seconds = nowMs / 1_000;
const text = 'super-secret-jwt-token-with-at-least-32-characters-long';

let secret: Secret | undefined;
beforeEach(() => {
  secret = new Secret(text);
});

function supabase() {
  const read = () =>
    Promise.resolve(
      secret === undefined ? err(refusal('upstream_credential', 'not there')) : ok(secret),
    );
  const map = createIdentityMap([{ issuer, claim: 'email', as: [] }]);
  const tokens = createTokenAuthenticator({
    issuers: [
      {
        issuer,
        audience: ['authenticated'],
        algorithms: ['HS256'],
        leewaySeconds: 30,
        lifetimeSecondsMax: 86_400,
        displayClaim: 'email',
        keys: new SharedSecret(issuer, read),
      },
    ],
    state: emptyState,
    identityMap: () => map,
  });
  return {
    claims: (token: string) => tokens.claims(token),
    verify: (token: string) => tokens.verify(token, nowMs),
    told: async (token: string) => {
      const result = await tokens.verify(token, nowMs);
      return result.ok ? result.value.subject.id : result.error.code;
    },
  };
}

function part(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function signed(key: string, more: JsonObject = {}): string {
  const claims = {
    iss: issuer,
    sub: 'u1',
    aud: 'authenticated',
    iat: seconds,
    exp: seconds + 3_600,
    ...more,
  };
  const input = `${part({ alg: 'HS256', typ: 'JWT', kid: 'legacy' })}.${part(claims)}`;
  return `${input}.${createHmac('sha256', key).update(input).digest('base64url')}`;
}

const id = `${issuer}#u1`;

describe('a shared secret (Supabase style)', () => {
  test('verifies, and counts anew as soon as it is rotated', async () => {
    const { told } = supabase();
    const rotated = 'another'.repeat(8);
    const old = signed(text);
    expect(await told(old)).toBe(id);
    expect(await told(signed(rotated))).toBe('credential_invalid');
    secret = new Secret(rotated);
    expect(await told(old)).toBe('credential_invalid');
    expect(await told(signed(rotated))).toBe(id);
  });

  test('what a user may write about himself is not a verified e-mail', async () => {
    const { verify } = supabase();
    const claims = { email: 'ceo@example.com', user_metadata: { email_verified: true } };
    const result = await verify(signed(text, claims));
    expect(result.ok && result.value.subject.selectors).toEqual([]);
  });

  test('the project’s own long-lived keys are no users', async () => {
    const { verify, claims } = supabase();
    const anon = signed(text, { iss: 'supabase', role: 'anon', exp: seconds + 315_360_000 });
    expect(claims(anon)).toBe(false);
    expect((await verify(anon)).ok).toBe(false);
    const service = signed(text, { role: 'service_role', exp: seconds + 315_360_000 });
    expect((await verify(service)).ok).toBe(false);
  });

  test('asymmetric tokens are refused', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const token = await new SignJWT({ sub: 'u1' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(issuer)
      .setAudience('authenticated')
      .setExpirationTime(seconds + 60)
      .sign(privateKey);
    expect(await supabase().told(token)).toBe('credential_invalid');
  });

  test('a secret that is missing or short is 503, for remembered tokens too', async () => {
    const { told } = supabase();
    expect(await told(signed(text))).toBe(id);
    secret = undefined;
    expect(await told(signed(text))).toBe('state_unavailable');
    secret = new Secret('short');
    expect(await told(signed('short'))).toBe('state_unavailable');
    secret = new Secret(text);
    expect(await told(signed(text))).toBe(id);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { JsonObject } from '../base/index.ts';
import { judgeBinding } from './binding.ts';
import { claimValues, createIdentityMap } from './mapping.ts';
import type { Principal } from './principal.ts';
import { tokenPrincipalId } from './token-claims.ts';

const issuer = 'https://id.example';
const map = createIdentityMap([
  { key: 'ci', as: ['tag:ci'] },
  { key: 'key_1', as: ['tag:ci', 'group:build'] },
  { app: 'app1', as: ['tag:app'] },
  { issuer, claim: 'email', as: [] },
  { issuer, claim: 'email', value: 'boss@example.com', as: ['group:boss'] },
  { issuer, claim: 'groups', value: 'research', as: ['group:research'] },
  { issuer, claim: '/realm_access/roles', value: 'admin', as: ['group:admin'] },
  { issuer, claim: 'scope', value: 'ai:read', as: ['tag:reader'] },
  { issuer, claim: 'staff', value: 'true', as: ['group:staff'] },
  { issuer, claim: 'tenant', as: ['group:tenants'] },
]);

const selectors = (claims: JsonObject) => map.tokenSelectors(issuer, claims);

describe('the identity map', () => {
  test('maps keys by name and id, and apps by id', () => {
    expect(map.keySelectors('key_9', 'ci')).toEqual(['tag:ci']);
    expect(map.keySelectors('key_1', 'ci')).toEqual(['tag:ci', 'group:build']);
    expect(map.keySelectors('key_2', 'other')).toEqual([]);
    expect(map.appSelectors('app1')).toEqual(['tag:app']);
    expect(map.appSelectors('ci')).toEqual([]);
    expect(map.operatorSelectors).toEqual([]);
  });
  test('maps every key by a star, and the local operator', () => {
    const wide = createIdentityMap([
      { key: '*', as: ['tag:key'] },
      { key: 'ci', as: ['tag:ci'] },
      { local: true, as: ['alice@example.com', 'tag:key'] },
    ]);
    expect(wide.keySelectors('key_9', 'ci')).toEqual(['tag:ci', 'tag:key']);
    expect(wide.keySelectors('key_2', 'other')).toEqual(['tag:key']);
    expect(wide.operatorSelectors).toEqual(['alice@example.com', 'tag:key']);
  });

  test.each<readonly [JsonObject, readonly string[]]>([
    [{}, []],
    [{ email: 'a@example.com', email_verified: true }, ['a@example.com']],
    [{ email: 'a@example.com', email_verified: false }, []],
    [{ email: 'a@example.com', email_verified: 'true' }, []],
    [{ email: 'a@example.com', user_metadata: { email_verified: true } }, []],
    [{ email: 'boss@example.com', email_verified: true }, ['boss@example.com', 'group:boss']],
    [{ email: 'boss@example.com' }, []],
    [{ email: 'a@b@example.com', email_verified: true }, []],
    [{ email: 'tag:ci@x', email_verified: true }, []],
    [{ email: ['a@example.com'], email_verified: true }, ['a@example.com']],
    [{ groups: ['x', 'research'] }, ['group:research']],
    [{ groups: 'research' }, ['group:research']],
    [{ groups: 'research x' }, []],
    [{ groups: { research: true } }, []],
    [{ realm_access: { roles: ['admin'] } }, ['group:admin']],
    [{ realm_access: ['admin'] }, []],
    [{ scope: 'openid ai:read' }, ['tag:reader']],
    [{ staff: true }, ['group:staff']],
    [{ tenant: 'x' }, ['group:tenants']],
    [{ tenant: null }, []],
  ])('maps the claims %j to %j', (claims, expected) => {
    expect(selectors(claims)).toEqual(expected);
    expect(map.tokenSelectors('https://other.example', claims)).toEqual([]);
  });

  test('never gives a selector that neither the file names nor a verified e-mail is', () => {
    const named = [
      'group:boss',
      'group:research',
      'group:admin',
      'tag:reader',
      'group:staff',
      'group:tenants',
    ];
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom('email', 'groups', 'scope', 'tenant', 'email_verified'),
          fc.jsonValue(),
        ),
        (claims) => {
          // A value that fast-check made as JSON is a JSON object.
          for (const selector of selectors(claims as JsonObject)) {
            if (!named.includes(selector)) expect(selector.split('@').length).toBe(2);
          }
        },
      ),
    );
  });

  test('reads no inherited members', () => {
    expect(claimValues({}, 'constructor')).toEqual([]);
    expect(claimValues({ a: {} }, '/a/constructor/name')).toEqual([]);
  });
});

describe('binding to network principals', () => {
  const alice: Principal = {
    authority: 'tailnet',
    id: 'alice@example.com',
    kind: 'user',
    display: 'Alice',
    selectors: ['alice@example.com', 'group:dev'],
  };
  const bound = (to: readonly string[], via: Principal | undefined) => judgeBinding(to, via).ok;
  test('is by selector or principal key, and an empty list binds to nobody', () => {
    expect(bound([], undefined)).toBe(true);
    expect(bound(['group:dev'], alice)).toBe(true);
    expect(bound(['tailnet:alice@example.com'], alice)).toBe(true);
    expect(bound(['bob@example.com', 'alice@example.com'], alice)).toBe(true);
    expect(bound(['bob@example.com'], alice)).toBe(false);
    expect(bound(['Alice'], alice)).toBe(false);
    expect(bound(['alice@example.com'], undefined)).toBe(false);
  });
});

test('no two pairs of issuer and subject share a principal id', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '#', '%', '2', '3'), maxLength: 6 });
  fc.assert(
    fc.property(text, text, text, text, (issuer1, subject1, issuer2, subject2) => {
      const isSame = issuer1 === issuer2 && subject1 === subject2;
      expect(tokenPrincipalId(issuer1, subject1) === tokenPrincipalId(issuer2, subject2)).toBe(
        isSame,
      );
    }),
    { numRuns: 2_000 },
  );
});

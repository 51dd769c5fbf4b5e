import type { Caller, CredentialScope, Principal } from '@postern/core/identity';
import { parsePolicyText } from '@postern/core/policy';
import { describe, expect, test } from 'vitest';
import { createAccessPolicy } from './index.ts';

const text = `{
  "groups": {"group:research": ["Alice@example.com"]},
  "tagOwners": {"tag:ci": [], "tag:gateway": []},
  "postures": {"posture:managed": ["node:os == 'macos'"]},
  "grants": [
    {"src": ["group:research"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["instant", "local/*"], "maxOutputTokens": 100, "budgets": ["research"]},
      {"models": ["local/**"], "dialects": ["anthropic-messages"]},
      {"models": ["vault/*"], "requireAttested": true},
      {"models": ["typo/*"], "maxTokens": 5}
    ]}},
    {"src": ["tag:ci"], "dst": ["*"], "app": {
      "postern.dev/cap/ai": [{"models": ["**"]}],
      "postern.dev/cap/admin": [{"tools": ["key.*", "policy.plan"]}]
    }},
    {"src": ["bob@example.com"], "dst": ["*"], "app": {"tailscale.com/cap/aperture": [
      {"role": "user"}, {"models": "openai/**"}
    ]}},
    {"src": ["eve@example.com"], "dst": ["*"], "app": {"tailscale.com/cap/aperture": [{"models": "**"}]}},
    {"src": ["dan@example.com"], "dst": ["*"], "srcPosture": ["posture:managed"],
     "app": {"postern.dev/cap/ai": [{"models": ["**"]}]}}
  ]
}`;
const parsed = parsePolicyText(text);
const policy = createAccessPolicy({ file: parsed.file, revision: 'r1' });

function principal(
  authority: Principal['authority'],
  id: string,
  selectors: readonly string[] = [],
): Principal {
  return { authority, id, kind: authority === 'key' ? 'key' : 'user', display: id, selectors };
}

function caller(subject: Principal, scope?: CredentialScope): Caller {
  return { subject, ...(scope === undefined ? {} : { scope }) };
}

const alice = caller(principal('tailnet', 'alice', ['alice@example.com']));
const ci = principal('key', 'k1', ['tag:ci']);
const operator = principal('local', 'uid:0');
const ask = (
  who: Caller,
  model: string,
  more: { dialect?: 'anthropic-messages'; max?: number; attested?: boolean } = {},
) =>
  policy.decide({
    caller: who,
    model,
    dialect: more.dialect ?? 'openai-chat',
    maxOutputTokens: more.max,
    attested: more.attested ?? false,
  });

describe('the policy as access policy', () => {
  test('the policy of the test is valid but for the object with the typo', () => {
    expect(parsed.refusal).toBeUndefined();
  });
  test('says which object of which grant allowed, with what it charges', () => {
    expect(ask(alice, 'instant')).toEqual({
      allowed: true,
      id: 'r1:/grants/0/app/postern.dev~1cap~1ai/0',
      rule: 'policy.hujson:7',
      maxOutputTokens: 100,
      limits: [],
      budgets: ['research'],
      capture: 'none',
    });
  });
  test('puts people into the groups of the file, whatever the case of their login', () => {
    const upper = caller(principal('jwt', 'x#1', ['ALICE@example.com']));
    expect(ask(upper, 'instant')).toMatchObject({ allowed: true });
  });
  test('refuses who has no grant with "nothing", and everything else about models with "model"', () => {
    const mallory = caller(principal('tailnet', 'm', ['mallory@example.com']));
    expect(ask(mallory, 'instant')).toMatchObject({
      id: 'r1:deny/ai/no_grant',
      why: 'nothing',
    });
    expect(ask(caller(principal('key', 'k9')), 'instant')).toMatchObject({ why: 'unmapped' });
    expect(ask(caller(operator), 'instant')).toMatchObject({ why: 'unmapped' });
    expect(ask(alice, 'openai/gpt')).toMatchObject({ id: 'r1:deny/ai/model', why: 'model' });
    expect(ask(alice, 'local/a/b')).toMatchObject({ id: 'r1:deny/ai/dialect', why: 'model' });
    expect(ask(alice, 'vault/a')).toMatchObject({
      id: 'r1:deny/ai/attestation',
      why: 'attestation',
    });
  });
  test('an object that asks for an attested target is met by one, and by nothing else', () => {
    expect(ask(alice, 'vault/a', { attested: true })).toMatchObject({
      allowed: true,
      id: 'r1:/grants/0/app/postern.dev~1cap~1ai/2',
    });
    expect(policy.mayUse(alice, 'vault/a', true)).toBe(true);
    expect(policy.mayUse(alice, 'vault/a', false)).toBe(false);
  });
  test('refuses more output than any object allows, and takes the next object where one allows it', () => {
    expect(ask(alice, 'local/a', { max: 101 })).toMatchObject({ why: 'output-limit' });
    expect(ask(alice, 'local/a', { max: 100 })).toMatchObject({ maxOutputTokens: 100 });
    expect(ask(alice, 'local/a', { max: 101, dialect: 'anthropic-messages' })).toMatchObject({
      id: 'r1:/grants/0/app/postern.dev~1cap~1ai/1',
      maxOutputTokens: undefined,
    });
  });
  test('an object with an unknown field grants nothing', () => {
    expect(ask(alice, 'typo/a')).toMatchObject({ why: 'model' });
    expect(policy.mayUse(alice, 'typo/a', false)).toBe(false);
  });
  test('a rule with a posture does not hold for who has no known device', () => {
    const dan = caller(principal('tailnet', 'dan', ['dan@example.com']));
    expect(ask(dan, 'instant')).toMatchObject({ why: 'nothing' });
  });
  test('a scope narrows the policy and never widens it', () => {
    expect(ask(caller(ci, { models: ['local/*'] }), 'local/a')).toMatchObject({ allowed: true });
    expect(ask(caller(ci, { models: ['local/*'] }), 'instant')).toMatchObject({ why: 'model' });
    expect(ask(caller(ci, { dialects: ['ask'] }), 'instant')).toMatchObject({ why: 'model' });
    const unmapped = caller(principal('key', 'k2'), { models: ['**'] });
    expect(ask(unmapped, 'instant')).toMatchObject({ why: 'unmapped' });
  });
  test('lists show exactly what may be called', () => {
    const names = ['instant', 'local/a', 'local/a/b', 'vault/a', 'openai/gpt'];
    const shown = (who: Caller) => names.filter((name) => policy.mayUse(who, name, false));
    expect(shown(alice)).toEqual(['instant', 'local/a', 'local/a/b']);
    expect(shown(caller(ci, { models: ['local/*'] }))).toEqual(['local/a']);
    const chatOnly = caller(alice.subject, { dialects: ['openai-chat'] });
    expect(shown(chatOnly)).toEqual(['instant', 'local/a']);
    expect(shown(caller(operator))).toEqual([]);
  });
  test('objects of Aperture count for who has a role', () => {
    const bob = caller(principal('tailnet', 'bob', ['bob@example.com']));
    const eve = caller(principal('tailnet', 'eve', ['eve@example.com']));
    expect(ask(bob, 'openai/gpt')).toMatchObject({ allowed: true });
    expect(ask(bob, 'anthropic/x')).toMatchObject({ why: 'model' });
    expect(ask(eve, 'openai/gpt')).toMatchObject({ why: 'nothing' });
  });
  test('administration needs an object that names the operation, and a credential that may', () => {
    expect(policy.mayAdminister(caller(ci), 'key.create')).toBe(true);
    expect(policy.mayAdminister(caller(ci), 'policy.apply')).toBe(false);
    expect(policy.mayAdminister(caller(ci, { admin: false }), 'key.create')).toBe(false);
    expect(policy.mayAdminister(alice, 'key.create')).toBe(false);
    expect(policy.mayAdminister(caller(operator), 'key.create')).toBe(false);
  });
  test('the local operator is what the configuration maps it to, and never administers', () => {
    const mapped = caller(principal('local', 'uid:0', ['tag:ci']));
    expect(ask(mapped, 'anything')).toMatchObject({ rule: 'policy.hujson:13' });
    expect(ask({ ...mapped, scope: { models: ['a'] } }, 'b')).toMatchObject({ why: 'model' });
    expect(policy.mayAdminister(mapped, 'key.create')).toBe(false);
  });
  test('the same question of the same caller gives the very same answer', () => {
    expect(ask(alice, 'instant')).toBe(ask(alice, 'instant'));
    const again = caller({ ...alice.subject });
    expect(ask(again, 'instant')).toBe(ask(alice, 'instant'));
  });
});

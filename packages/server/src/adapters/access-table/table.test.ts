import type { Caller, Principal } from '@postern/core/identity';
import { describe, expect, test } from 'vitest';
import { createAccessTable } from './index.ts';

function principal(
  authority: Principal['authority'],
  id: string,
  selectors: readonly string[] = [],
  display = id,
): Principal {
  return { authority, id, kind: 'user', display, selectors };
}

function caller(subject: Principal, scope?: Caller['scope']): Caller {
  return { subject, ...(scope === undefined ? {} : { scope }) };
}

const alice = caller(principal('tailnet', 'n1', ['alice@example.com', 'group:dev']));
const table = createAccessTable({
  rules: [
    { who: ['group:dev'], models: ['local/**'], maxOutputTokens: 100 },
    { who: ['alice@example.com'], models: ['instant'], dialects: ['openai-chat'] },
    { who: ['local'], models: ['**'], admin: true },
    { who: ['key:ci'], models: ['**'] },
  ],
  newDecisionId: () => 'd1',
});
const ask = (who: Caller, model: string, maxOutputTokens?: number) =>
  table.decide({ caller: who, model, dialect: 'openai-chat', maxOutputTokens });

describe('the allow table', () => {
  test('gives the rule that allowed, with its cap', () => {
    expect(ask(alice, 'local/a/b')).toEqual({
      allowed: true,
      id: 'd1',
      rule: 'access[0]',
      maxOutputTokens: 100,
    });
  });
  test('refuses whom no rule names with "nothing", and other models with "model"', () => {
    expect(ask(caller(principal('tailnet', 'n2', ['bob@example.com'])), 'instant')).toMatchObject({
      allowed: false,
      why: 'nothing',
    });
    expect(ask(alice, 'openai/gpt')).toMatchObject({ allowed: false, why: 'model' });
  });
  test('refuses more output than every matching rule allows', () => {
    expect(ask(alice, 'local/a', 101)).toMatchObject({ allowed: false, why: 'output-limit' });
    expect(ask(alice, 'local/a', 100)).toMatchObject({ allowed: true });
  });
  test('looks at the dialect', () => {
    expect(
      table.decide({ caller: alice, model: 'instant', dialect: 'ask', maxOutputTokens: undefined }),
    ).toMatchObject({ why: 'model' });
  });
  test('a key is never wider than its scope, and its own name is not a selector of others', () => {
    const key = caller(principal('key', 'k1', [], 'ci'), { models: ['local/*'] });
    expect(ask(key, 'local/a')).toMatchObject({ allowed: true });
    expect(ask(key, 'openai/a')).toMatchObject({ allowed: false, why: 'model' });
    expect(ask(caller(principal('jwt', 'ci', [], 'ci')), 'local/a')).toMatchObject({
      why: 'nothing',
    });
  });
  test('administration needs a rule that says so, and a key that may', () => {
    expect(table.mayAdminister(alice, 'key.create')).toBe(false);
    expect(table.mayAdminister(caller(principal('local', 'uid:0')), 'key.create')).toBe(true);
    expect(
      table.mayAdminister(caller(principal('local', 'uid:0'), { admin: false }), 'key.create'),
    ).toBe(false);
  });
  test('lists show exactly what may be called', () => {
    expect(['instant', 'local/a', 'openai/a'].filter((name) => table.mayUse(alice, name))).toEqual([
      'instant',
      'local/a',
    ]);
  });
});

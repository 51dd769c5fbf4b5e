import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../identity/index.ts';
import { parsePolicyText } from '../file/index.ts';
import {
  checkReport,
  diffReport,
  explainAccessOf,
  explainDecisionId,
  explainPacket,
  reachReport,
  standInInventory,
  undefinedNames,
} from './index.ts';

const inventory = { users: [], nodes: [] };
const sha256Hex = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const check = (text: string) => checkReport({ text, inventory, sha256Hex });

const text = `{
  "groups": {"group:dev": ["alice@example.com", "bob@example.com"]},
  "tagOwners": {"tag:db": [], "tag:gateway": []},
  "tests": [
    {"src": "group:dev", "accept": ["tag:db:5432"], "deny": ["tag:gateway:22"]},
    {"src": "autogroup:member", "deny": ["tag:gateway:22"]},
    {"src": "tag:db", "accept": ["tag:gateway:80"]}
  ],
  "grants": [
    {"src": ["group:dev"], "dst": ["tag:db"], "ip": ["tcp:5432"]},
    {"src": ["group:dev"], "dst": ["tag:gateway"], "app": {"postern.dev/cap/ai": [
      {"models": ["instant"], "maxOutputTokens": 9, "budgets": ["lab"], "limits": ["chat"]}]}}
  ]
}`;

describe('a check without a network', () => {
  test('runs the tests on one machine for each person and tag that the file names', () => {
    const { valid, tests, tests_passed } = check(text);
    expect([valid, tests_passed]).toEqual([true, false]);
    expect(tests.map(({ passed, line }) => [line, passed])).toEqual([
      [5, true],
      [6, true],
      [7, false],
    ]);
    expect(tests[2]?.errors).toEqual(['address "tag:gateway:80": want: Accept, got: Drop']);
  });
  test('gives every finding its place, and the digest that Tailscale calls ETag', () => {
    const spaced = text.replace('"tagOwners"', '\n\n  "tagOwners"');
    expect(check(spaced).digest).not.toBe('');
    expect(check('{"grants": []}').digest).toBe(check('{ "grants" : [ ] }\n').digest);
    const { valid, findings } = check('{\n  "grants": [{"src": ["tag:x"], "dst": ["*"]}]\n}');
    expect(valid).toBe(false);
    expect(findings[0]).toMatchObject({ severity: 'error', line: 2 });
    expect(check('{').findings).toMatchObject([{ code: 'syntax', line: 1 }]);
  });
  test('knows the domain of a login, so that user:*@domain is no mistake', () => {
    const file = `{"groups": {"group:a": ["a@example.com"]},
      "grants": [{"src": ["user:*@example.com"], "dst": ["*"], "ip": ["*"]}]}`;
    expect(check(file).valid).toBe(true);
  });
  test('never throws, whatever the text', () => {
    fc.assert(fc.property(fc.string(), (any) => typeof check(any).valid === 'boolean'));
  });
});

test('stand-ins leave a network that has machines alone', () => {
  const { file } = parsePolicyText(text);
  const people = standInInventory(inventory, [file]);
  expect(people.users.map(({ login }) => login)).toContain('bob@example.com');
  expect(standInInventory(people, [file])).toBe(people);
});

describe('differences', () => {
  test('of layout and order are none', () => {
    const other = text.replaceAll('\n', ' ').replace('"tcp:5432"', '"tcp:5432", "tcp:5432"');
    expect(diffReport(text, other, inventory)).toMatchObject({ equivalent: true, changes: [] });
  });
  test('name who gains and loses what, by which rule, and are exact opposites', () => {
    const wider = text.replace('tcp:5432"]', 'tcp:5000-6000"]');
    const one = diffReport(text, wider, inventory);
    expect(one.changes).toMatchObject([
      { change: 'added', what: 'tcp:5000-5431,5433-6000', rules: ['grants[0] (line 10)'] },
    ]);
    expect(one.changes[0]?.sources.join()).toContain('alice@example.com');
    const back = diffReport(wider, text, inventory);
    expect(back.changes.map(({ change, what }) => [change, what])).toEqual([
      ['removed', 'tcp:5000-5431,5433-6000'],
    ]);
  });
  test('with a file that cannot be read are its errors', () => {
    const { errors, changes } = diffReport(text, '{"acl": []}', inventory);
    expect(errors).toMatchObject([{ file: 'after', severity: 'error' }]);
    expect(changes).toEqual([]);
  });
});

describe('reachability', () => {
  test('is what the rules say, from and to where it is asked', () => {
    const all = reachReport(text, inventory);
    expect(all).toMatchObject({ ok: true, value: { complete: true } });
    const db = reachReport(text, inventory, { from: 'alice@example.com', to: 'tag:db' });
    expect(db).toMatchObject({ ok: true, value: { rows: [{ network: 'tcp:5432' }] } });
    const none = reachReport(text, inventory, { from: 'tag:db' });
    expect(none).toMatchObject({ ok: true, value: { rows: [] } });
    expect(reachReport(text, inventory, { from: 'tag:nobody' }).ok).toBe(false);
  });
});

describe('reasons', () => {
  const source = { text, revision: 'r', inventory };
  const caller = (...selectors: string[]): Principal => ({
    authority: 'tailnet',
    id: 'x',
    kind: 'user',
    display: 'x',
    selectors,
  });
  const model = (maxOutputTokens?: number, name = 'instant', dialect = 'ask') =>
    ({ kind: 'model', model: name, dialect, maxOutputTokens }) as const;
  test('of an allowed request name the object, and the id leads back to it', () => {
    const allowed = explainAccessOf(source, caller('alice@example.com'), model());
    expect(allowed).toMatchObject({
      ok: true,
      value: {
        verdict: 'allowed',
        rules: [{ line: 12 }],
        selectors: ['alice@example.com', 'group:dev'],
      },
    });
    const id = 'r:/grants/1/app/postern.dev~1cap~1ai/0';
    expect(explainDecisionId(source, id)).toMatchObject({ value: { verdict: 'allowed' } });
    expect(explainDecisionId(source, 'q:/grants/1')).toMatchObject({
      value: { verdict: 'unknown' },
    });
  });
  test('of a refused one say what is missing', () => {
    const why = (who: Principal, question: ReturnType<typeof model>): string => {
      const answer = explainAccessOf(source, who, question);
      return answer.ok ? answer.value.why.join('; ') : answer.error;
    };
    expect(why(caller('alice@example.com'), model(10))).toContain('at most 9 output tokens');
    expect(why(caller('carol@example.com'), model())).toContain('carol@example.com');
    expect(why(caller(), model())).toContain('mapped to nothing');
    expect(why(caller('alice@example.com'), model(1, 'other'))).toContain('names the model');
    expect(why(caller('alice@example.com'), model(1, 'instant', 'telex'))).toContain('not one of');
  });
  test('of packets name the rule, or the nearest one and what it lacks', () => {
    const packet = (port: string) =>
      explainPacket(source, { from: 'bob@example.com', to: 'tag:db', port });
    expect(packet('tcp:5432')).toMatchObject({
      value: { verdict: 'allowed', rules: [{ line: 10 }] },
    });
    expect(packet('22')).toMatchObject({ value: { verdict: 'denied' } });
    expect(packet('x').ok).toBe(false);
  });
});

test('limits and budgets that the configuration does not define are found with their place', () => {
  const { file } = parsePolicyText(text);
  const known = { limits: new Set(['chat']), budgets: new Set<string>() };
  expect(undefinedNames(file, known)).toMatchObject([
    { kind: 'budget', name: 'lab', at: { line: 12 } },
  ]);
});

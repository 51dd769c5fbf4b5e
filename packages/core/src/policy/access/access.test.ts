import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Principal } from '../../identity/index.ts';
import { parseAddr } from '../../base/netip/index.ts';
import { parsePolicyValue } from '../file/index.ts';
import {
  AccessIndex,
  type AccessPoint,
  type AiRequest,
  CallerAccess,
  capabilityFindings,
  entriesOfCapMap,
  explainDecision,
  parseGlob,
} from './index.ts';

const alice: Principal = {
  authority: 'tailnet',
  id: 'n1',
  kind: 'user',
  display: 'alice',
  selectors: ['alice@example.com', 'group:dev', 'autogroup:member'],
  addresses: ['100.64.0.1'],
};
const key: Principal = { ...alice, authority: 'key', id: 'k1', kind: 'key', selectors: [] };

const ask: AiRequest = {
  model: 'instant',
  dialect: 'openai-chat',
  maxOutputTokens: undefined,
  attested: false,
};

function indexOf(grants: readonly object[], extra: object = {}, point?: AccessPoint): AccessIndex {
  const parsed = parsePolicyValue({
    groups: { 'group:dev': ['alice@example.com'] },
    tagOwners: { 'tag:gateway': [], 'tag:ci': [] },
    grants,
    ...extra,
  });
  expect(parsed.refusal).toBeUndefined();
  return new AccessIndex(parsed.file, { revision: 'r1', point });
}

function ai(...objects: readonly unknown[]): object {
  return { src: ['group:dev'], dst: ['tag:gateway'], app: { 'postern.dev/cap/ai': objects } };
}

function decide(grants: readonly object[], request: Partial<AiRequest> = {}): unknown {
  return indexOf(grants)
    .accessOf(alice)
    .decideAi({ ...ask, ...request });
}

describe('cap/ai', () => {
  test('the first object in file order whose conditions all hold supplies limits and budgets', () => {
    const objects = [
      { models: ['instant'], dialects: ['anthropic-messages'], budgets: ['wrong'] },
      { models: ['instant'], budgets: ['first'] },
      { models: ['**'], budgets: ['second'] },
    ];
    expect(decide([ai(...objects)])).toMatchObject({
      allowed: true,
      id: 'r1:/grants/0/app/postern.dev~1cap~1ai/1',
      object: { budgets: ['first'] },
    });
  });

  test('fields of two objects are never combined', () => {
    const objects = [
      { models: ['instant'], maxOutputTokens: 10 },
      { models: ['other'], maxOutputTokens: 1_000 },
    ];
    expect(decide([ai(...objects)], { maxOutputTokens: 500 })).toMatchObject({
      allowed: false,
      reason: 'output_limit',
      maxOutputTokens: 10,
    });
  });

  test('an unknown field makes the object grant nothing, and the check says so', () => {
    const grants = [ai({ models: ['**'], model: 'x' })];
    expect(decide(grants)).toMatchObject({ allowed: false, reason: 'no_grant' });
    const parsed = parsePolicyValue({
      groups: { 'group:dev': [] },
      tagOwners: { 'tag:gateway': [] },
      grants,
    });
    expect(capabilityFindings(parsed.file)).toMatchObject([
      {
        code: 'bad_capability',
        severity: 'error',
        pointer: '/grants/0/app/postern.dev~1cap~1ai/0',
      },
    ]);
  });

  test.each([
    [{}],
    [{ models: 'instant' }],
    [{ models: ['instant'], maxOutputTokens: 0 }],
    [{ models: ['instant'], maxOutputTokens: '5' }],
    [{ models: ['instant'], capture: 'some' }],
    [{ models: ['instant'], dialects: ['smtp'] }],
    [{ models: ['instant'], requireAttested: 'yes' }],
    [{ models: ['instant', 5] }],
    [[]],
    ['**'],
    [null],
  ])('%j grants nothing', (object) => {
    expect(decide([ai(object)])).toMatchObject({ allowed: false, reason: 'no_grant' });
  });

  test('the denial names the condition that came closest', () => {
    expect(decide([ai({ models: ['other'] })])).toMatchObject({ reason: 'model' });
    expect(decide([ai({ models: ['instant'], dialects: ['ask'] })])).toMatchObject({
      reason: 'dialect',
    });
    expect(decide([ai({ models: ['instant'], requireAttested: true })])).toMatchObject({
      reason: 'attestation',
    });
    expect(
      decide([ai({ models: ['instant'], requireAttested: true })], { attested: true }),
    ).toMatchObject({
      allowed: true,
    });
    expect(decide([])).toMatchObject({ reason: 'no_grant' });
  });

  test('a model that was asked for before gets the same answer', () => {
    const access = indexOf([ai({ models: ['local/**'] })]).accessOf(alice);
    for (const model of ['local/a', 'local/a/b', 'local', 'localx/a']) {
      const first = access.decideAi({ ...ask, model });
      expect(access.decideAi({ ...ask, model })).toEqual(first);
      expect(first.allowed).toBe(model.startsWith('local/'));
    }
    for (let i = 0; i < 2_000; i += 1) access.decideAi({ ...ask, model: `local/${i}` });
    expect(access.decideAi({ ...ask, model: 'local/1' }).allowed).toBe(true);
  });

  test('looking objects up gives the same first object as trying them in order', () => {
    const part = fc.constantFrom('a', 'b', '*', '**', 'a*', 'local');
    const glob = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
    const name = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'local', ''), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('/'));
    const lists = fc.array(fc.array(glob, { minLength: 1, maxLength: 3 }), { maxLength: 6 });
    fc.assert(
      fc.property(lists, name, (models, model) => {
        const decision = indexOf([ai(...models.map((list) => ({ models: list })))])
          .accessOf(alice)
          .decideAi({ ...ask, model });
        const first = models.findIndex((list) =>
          list.some((text) => parseGlob(text)?.matches(model)),
        );
        expect(decision.allowed).toBe(first >= 0);
        if (first >= 0) expect(decision.id.endsWith(`/${first}`)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('adding a grant never takes away access', () => {
    const object = fc.record({
      models: fc.array(fc.constantFrom('instant', '**', 'local/*', 'x'), { minLength: 1 }),
      dialects: fc.option(fc.constant(['openai-chat']), { nil: undefined }),
      maxOutputTokens: fc.option(fc.integer({ min: 1, max: 100 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(
        fc.array(object),
        object,
        fc.integer({ min: 1, max: 100 }),
        (objects, more, maxOutputTokens) => {
          const clean = JSON.parse(JSON.stringify([...objects, more])) as object[];
          const request = { ...ask, maxOutputTokens };
          const before = indexOf([ai(...clean.slice(0, -1))])
            .accessOf(alice)
            .decideAi(request);
          const after = indexOf([ai(...clean)])
            .accessOf(alice)
            .decideAi(request);
          if (before.allowed) expect(after.id).toBe(before.id);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('sources', () => {
  const open = { models: ['**'] };
  const app = { 'postern.dev/cap/ai': [open] };

  test('* means machines of the network, not keys and tokens', () => {
    const index = indexOf([{ src: ['*'], dst: ['*'], app }]);
    expect(index.accessOf(alice).hasAi).toBe(true);
    expect(index.accessOf(key).hasAi).toBe(false);
    expect(index.accessOf({ ...key, addresses: ['100.64.0.1'] }).hasAi).toBe(false);
  });

  test('a key matches the selectors that it was mapped to, and logins compare without case', () => {
    const index = indexOf([{ src: ['Alice@Example.com'], dst: ['*'], app }]);
    expect(index.accessOf({ ...key, selectors: ['alice@example.com'] }).hasAi).toBe(true);
    expect(index.accessOf({ ...key, selectors: ['bob@example.com'] }).hasAi).toBe(false);
  });

  test('addresses, hosts and ipsets match the address of a machine', () => {
    const extra = {
      hosts: { desk: '100.64.0.1' },
      ipsets: { 'ipset:a': ['add 100.64.0.0/24', 'remove 100.64.0.1'] },
    };
    const has = (src: string): boolean =>
      indexOf([{ src: [src], dst: ['*'], app }], extra).accessOf(alice).hasAi;
    expect(['100.64.0.1', '100.64.0.0/16', 'desk'].map(has)).toEqual([true, true, true]);
    expect(['100.64.0.2', 'ipset:a'].map(has)).toEqual([false, false]);
  });

  test('a rule with a posture holds only for a device that is known to meet it', () => {
    const postures = { 'posture:mac': ["node:os == 'macos'"] };
    const index = indexOf([{ src: ['*'], dst: ['*'], app, srcPosture: ['posture:mac'] }], {
      postures,
    });
    expect(index.accessOf(alice).hasAi).toBe(false);
    expect(index.accessOf(alice, new Map([['node:os', 'macos']])).hasAi).toBe(true);
    expect(index.accessOf(alice, new Map([['node:os', 'linux']])).hasAi).toBe(false);
    expect(index.accessOf(alice).hasAi).toBe(false);
  });

  test('a grant counts where its dst names the gateway', () => {
    const address = parseAddr('100.64.0.9');
    if (!address.ok) throw new Error(address.error);
    const point = { selectors: ['tag:gateway'], addresses: [address.value] };
    const has = (dst: string): boolean =>
      indexOf([{ src: ['*'], dst: [dst], app }], {}, point).accessOf(alice).hasAi;
    expect(['tag:gateway', '*', '100.64.0.9', '100.64.0.0/24'].map(has)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(
      ['tag:ci', '100.64.0.1', 'autogroup:self'].map((dst) => dst !== 'autogroup:self' && has(dst)),
    ).toEqual([false, false, false]);
  });
});

describe('cap/admin, cap/mesh and aperture', () => {
  const access = (app: object): CallerAccess =>
    indexOf([{ src: ['*'], dst: ['*'], app }]).accessOf(alice);

  test('admin tools are globs', () => {
    const admin = access({ 'postern.dev/cap/admin': [{ tools: ['policy_*'], role: 'operator' }] });
    expect(admin.decideAdmin('policy_plan')).toMatchObject({
      allowed: true,
      object: { role: 'operator' },
    });
    expect(admin.decideAdmin('key_create')).toMatchObject({ allowed: false, reason: 'tool' });
    expect(access({ 'x.dev/y': [{}] }).decideAdmin('policy_plan')).toMatchObject({
      reason: 'no_grant',
    });
  });

  test('a mesh object names apps and ports, and may narrow methods and paths', () => {
    const mesh = access({
      'postern.dev/cap/mesh': [
        { apps: ['app1'], ports: [8080, '9000-9010'], methods: ['get'], paths: ['/v1/**'] },
      ],
    });
    const get = { app: 'app1', port: 8080, method: 'GET', path: '/v1/a/b' };
    expect(mesh.decideMesh(get)).toMatchObject({ allowed: true });
    expect(mesh.decideMesh({ ...get, port: 9005 })).toMatchObject({ allowed: true });
    expect(mesh.decideMesh({ ...get, app: 'app2' })).toMatchObject({ reason: 'app' });
    expect(mesh.decideMesh({ ...get, port: 22 })).toMatchObject({ reason: 'port' });
    expect(mesh.decideMesh({ ...get, method: 'POST' })).toMatchObject({ reason: 'method' });
    expect(mesh.decideMesh({ ...get, path: '/admin' })).toMatchObject({ reason: 'path' });
    expect(mesh.decideMesh({ ...get, method: undefined, path: undefined })).toMatchObject({
      reason: 'method',
    });
  });

  test('objects of Aperture add up, and without a role they grant nothing', () => {
    const name = 'tailscale.com/cap/aperture';
    const models = { models: 'anthropic/**' };
    expect(access({ [name]: [models] }).hasAi).toBe(false);
    const both = access({ [name]: [{ role: 'user' }, models] });
    expect(both.decideAi({ ...ask, model: 'anthropic/x' })).toMatchObject({ allowed: true });
    expect(both.decideAi({ ...ask, model: 'openai/x' })).toMatchObject({ allowed: false });
    expect(both.decideAdmin('policy_plan')).toMatchObject({ allowed: false });
  });
});

test('the map of an engine is read the same way', () => {
  const { entries, problems } = entriesOfCapMap({
    'postern.dev/cap/ai': [{ models: ['instant'] }, { models: 5 }],
    'example.com/cap/x': [{}],
  });
  expect(problems).toHaveLength(1);
  expect(new CallerAccess('e1', entries).decideAi(ask)).toMatchObject({
    allowed: true,
    id: 'e1:/postern.dev~1cap~1ai/0',
  });
});

test('the id of a decision leads back to the line, or to the reason', () => {
  const index = indexOf([ai({ models: ['instant'] })]);
  const allowed = index.accessOf(alice).decideAi(ask);
  expect(explainDecision(index, allowed.id)).toMatchObject({
    kind: 'allowed',
    at: { pointer: '/grants/0/app/postern.dev~1cap~1ai/0' },
  });
  const denied = index.accessOf(alice).decideAi({ ...ask, model: 'x' });
  expect(explainDecision(index, denied.id)).toMatchObject({ kind: 'denied', reason: 'model' });
  expect(explainDecision(index, 'r0:/grants/0')).toEqual({
    kind: 'other_revision',
    revision: 'r0',
  });
  expect(explainDecision(index, 'nonsense')).toEqual({ kind: 'unknown' });
  expect(explainDecision(index, 'r1:/grants/7')).toEqual({ kind: 'unknown' });
});

describe('globs', () => {
  test.each([
    ['*', 'a', true],
    ['*', 'a/b', false],
    ['**', 'a/b', true],
    ['a/*', 'a/b', true],
    ['a/*', 'a/b/c', false],
    ['a/**', 'a/b/c', true],
    ['a/**', 'a', false],
    ['a*c', 'abc', true],
    ['a*c', 'ac', true],
    ['**/x', 'a/b/x', true],
    ['gpt-*-mini', 'gpt-5-mini', true],
    ['gpt-*-mini', 'gpt-5/x-mini', false],
    ['a.c', 'abc', false],
    ['A', 'a', false],
    ['*', '', false],
  ])('%s against %s is %s', (glob, name, want) => {
    expect(parseGlob(glob)?.matches(name)).toBe(want);
  });

  test('agree with their regular expressions', () => {
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', '/', '*'),
      minLength: 1,
      maxLength: 8,
    });
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '/'), minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(text, name, (glob, value) => {
        const source = glob.replaceAll(/\*+/g, (stars) => (stars.length > 1 ? '.*' : '[^/]*'));
        const isTail = /^[^*]*\/\*\*$/.test(glob);
        // `a/**` needs something after the slash; the expression would take nothing too.
        const want =
          new RegExp(`^${source}$`).test(value) && !(isTail && value.length === glob.length - 2);
        expect(parseGlob(glob)?.matches(value)).toBe(want);
      }),
      { numRuns: 2_000 },
    );
  });

  test('no glob is slow', () => {
    const glob = parseGlob(`${'*a'.repeat(100)}b`);
    expect(glob?.matches('a'.repeat(512))).toBe(false);
  });
});

test('a capability beside `via` grants nothing here, as the packet filter carries none of it', () => {
  const grant = { ...ai({ models: ['**'] }), ip: ['tcp:80'] };
  const owners = { tagOwners: { 'tag:gateway': [], 'tag:ci': [], 'tag:router': [] } };
  const decided = (grants: readonly object[]) =>
    indexOf(grants, owners).accessOf(alice).decideAi(ask).allowed;
  expect(decided([grant])).toBe(true);
  expect(decided([{ ...grant, via: ['tag:router'] }])).toBe(false);
});

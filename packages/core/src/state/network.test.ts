import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import type { Command } from './command.ts';
import type { DecideContext } from './decide.ts';
import { decide } from './decide.ts';
import { decodeState, encodeState } from './codec.ts';
import type { State } from './model.ts';
import { freeAddress } from './network-address.ts';
import { freeLabel, isLabel, labelOf } from './network-name.ts';
import { emptyState, reduce } from './reduce.ts';

const nowMs = 1_800_000_000_000;
let ids = 0;

function context(atMs = nowMs): DecideContext {
  return {
    nowMs: atMs,
    newId: () => `${(ids += 1)}`,
    author: { actor: { principal: 'local:uid:1000', channel: 'control-socket' } },
  };
}

function after(state: State, command: Command, atMs?: number): State {
  const decided = decide(state, command, context(atMs));
  if (!decided.ok) throw new Error(decided.error.message);
  return decided.value.reduce(reduce, state);
}

function message(result: Result<unknown, { message: string }>): string {
  return result.ok ? 'accepted' : result.error.message;
}

const key = (kind: 'mkey' | 'nodekey', number: number): string =>
  `${kind}:${number.toString(16).padStart(64, '0')}`;
const digest = 'a'.repeat(64);

const preAuth = (more: object = {}): Command => ({
  kind: 'preauthkey.create',
  digest,
  hint: 'abcd',
  login: 'alice@example.com',
  tags: [],
  reusable: false,
  ephemeral: false,
  preApproved: true,
  lifeMs: 3_600_000,
  ...more,
});

const join = (number: number, more: object = {}): Command => ({
  kind: 'node.register',
  machineKey: key('mkey', number),
  nodeKey: key('nodekey', number),
  admission: { by: 'key', digest },
  hostname: `Box ${number}.local`,
  tags: [],
  ephemeral: false,
  ipv4Pool: '100.64.0.0/10',
  ipv6Pool: 'fd7a:115c:a1e0::/48',
  keyLifeMs: 86_400_000,
  needsApproval: false,
  ...more,
});

describe('registration', () => {
  test('gives a node a number, a name and one address of each family', () => {
    const state = after(after(emptyState(), preAuth()), join(7));
    const node = state.network.nodesById.get('n1');
    expect(node).toMatchObject({
      name: 'box-7',
      addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      userId: 'u1',
      approved: true,
      keyExpiresAtMs: nowMs + 86_400_000,
    });
    expect(state.network.nodesByKey.get(key('nodekey', 7))).toBe(node);
  });

  test('by a key for one machine admits exactly one of two hundred', () => {
    let state = after(emptyState(), preAuth());
    let admitted = 0;
    for (let i = 1; i <= 200; i += 1) {
      const decided = decide(state, join(i), context());
      if (decided.ok) {
        admitted += 1;
        state = decided.value.reduce(reduce, state);
      } else expect(decided.error.message).toMatch(/used already/);
    }
    expect(admitted).toBe(1);
  });

  test('lets the machine that used a key show it again, and no other', () => {
    const state = after(after(emptyState(), preAuth()), join(1));
    expect(decide(state, join(1), context())).toEqual({ ok: true, value: [] });
    const stolen = join(2, { nodeKey: key('nodekey', 1) });
    expect(message(decide(state, stolen, context()))).toMatch(/belongs to another machine/);
  });

  test('refuses keys that are unknown, expired or revoked', () => {
    const state = after(emptyState(), preAuth({ reusable: true }));
    expect(message(decide(emptyState(), join(1), context()))).toMatch(/not known/);
    expect(message(decide(state, join(1), context(nowMs + 3_600_000)))).toMatch(/expired/);
    const [made] = [...state.network.preAuthKeysById.values()];
    const revoked = after(state, { kind: 'preauthkey.revoke', id: made?.id ?? '' });
    expect(message(decide(revoked, join(1), context()))).toMatch(/revoked/);
  });

  test('replaces a node key only for the machine that holds the old one, while it lives', () => {
    const state = after(after(emptyState(), preAuth()), join(1));
    const rotate = (machine: number): Command =>
      join(machine, {
        nodeKey: key('nodekey', 9),
        admission: { by: 'old-key', oldNodeKey: key('nodekey', 1) },
      });
    const rotated = after(state, rotate(1));
    expect(rotated.network.nodesById.get('n1')?.nodeKey).toBe(key('nodekey', 9));
    expect(rotated.network.nodesByKey.has(key('nodekey', 1))).toBe(false);
    expect(message(decide(state, rotate(2), context()))).toMatch(/not one of this machine/);
    expect(message(decide(state, rotate(1), context(nowMs + 86_400_000)))).toMatch(/expired/);
  });

  test('brings a machine back as the node that it was, with its name and addresses', () => {
    let state = after(after(emptyState(), preAuth({ reusable: true })), join(1));
    state = after(state, { kind: 'node.expire', id: 'n1', isLogout: true });
    state = after(state, join(1, { nodeKey: key('nodekey', 5), hostname: 'other' }));
    expect(state.network.nodesById.size).toBe(1);
    expect(state.network.nodesById.get('n1')).toMatchObject({
      name: 'box-1',
      addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      keyExpiresAtMs: nowMs + 86_400_000,
    });
  });

  test('by a tagged key belongs to nobody and does not expire', () => {
    const state = after(
      after(emptyState(), preAuth({ login: undefined, tags: ['tag:ci'] })),
      join(1),
    );
    const node = state.network.nodesById.get('n1');
    expect(node?.tags).toEqual(['tag:ci']);
    expect(node).not.toHaveProperty('userId');
    expect(node).not.toHaveProperty('keyExpiresAtMs');
  });

  test('waits for an approval where the network wants one, unless the key was approved before', () => {
    const wants = { needsApproval: true };
    const plain = after(after(emptyState(), preAuth({ preApproved: false })), join(1, wants));
    expect(plain.network.nodesById.get('n1')?.approved).toBe(false);
    const approved = after(plain, { kind: 'node.approve', id: 'n1' });
    expect(approved.network.nodesById.get('n1')?.approved).toBe(true);
    const pre = after(after(emptyState(), preAuth()), join(1, wants));
    expect(pre.network.nodesById.get('n1')?.approved).toBe(true);
  });

  test('never lets an issuer take over the login of another identity', () => {
    const claim = (authority: string, subject: string): Command => ({
      kind: 'user.create',
      user: { authority, subject, login: 'bob@example.com', displayName: 'Bob' },
    });
    const state = after(emptyState(), claim('https://a.example', '1'));
    expect(message(decide(state, claim('https://b.example', '1'), context()))).toMatch(/another/);
    const named = after(emptyState(), claim('postern', 'bob@example.com'));
    const signedIn = after(named, claim('https://a.example', '1'));
    expect(signedIn.network.usersById.size).toBe(1);
    expect(signedIn.network.usersById.get('u1')?.authority).toBe('https://a.example');
  });
});

describe('changes of a node', () => {
  const joined = (): State => after(after(emptyState(), preAuth({ ephemeral: true })), join(1));

  test('an ephemeral node is gone when it logs out', () => {
    const state = after(joined(), { kind: 'node.expire', id: 'n1', isLogout: true });
    expect(state.network.nodesById.size).toBe(0);
    expect(state.network.nodesByMachine.size).toBe(0);
    const next = after(after(state, preAuth({ digest: 'b'.repeat(64) })), {
      ...join(2),
      admission: { by: 'key', digest: 'b'.repeat(64) },
    } as Command); // The same command with another key.
    expect(next.network.nodesById.get('n2')?.addresses[0]).toBe('100.64.0.2');
  });

  test('tags take it from its user and end its expiry; a chosen name stays', () => {
    const tagged = after(joined(), { kind: 'node.tag', id: 'box-1', tags: ['tag:ai'] });
    expect(tagged.network.nodesById.get('n1')).not.toHaveProperty('keyExpiresAtMs');
    const named = after(tagged, { kind: 'node.rename', id: 'n1', name: 'ai', from: 'chosen' });
    expect(named.network.nodesByName.get('ai')?.id).toBe('n1');
    const follows: Command = { kind: 'node.rename', id: 'n1', name: 'host', from: 'reported' };
    expect(decide(named, follows, context())).toEqual({ ok: true, value: [] });
  });

  test('what it adds up to survives its text', () => {
    const state = after(joined(), { kind: 'node.routes', id: 'n1', approved: ['10.0.0.0/8'] });
    const read = decodeState(encodeState(state));
    expect(read?.network.nodesById.get('n1')).toEqual(state.network.nodesById.get('n1'));
    expect(read?.network.lastNode).toBe(1);
    expect(encodeState(read ?? emptyState())).toBe(encodeState(state));
  });
});

describe('addresses and names', () => {
  test('keep out of what clients use themselves', () => {
    const free = (number: number): string | undefined =>
      freeAddress('100.64.0.0/10', number, () => false);
    const offsetOf = (a: number, b: number, c: number): number => ((a - 64) << 16) | (b << 8) | c;
    expect(free(offsetOf(100, 100, 100))).toBe('100.100.101.0');
    expect(free(offsetOf(115, 92, 3))).toBe('100.115.94.0');
    expect(free(1 << 22)).toBe('100.64.0.1');
    expect(freeAddress('fd7a:115c:a1e0::/48', 0x53, () => false)).toBe('fd7a:115c:a1e0::54');
  });

  test('a full pool has none', () => {
    expect(freeAddress('10.0.0.0/30', 5, (text) => text !== '10.0.0.2')).toBe('10.0.0.2');
    expect(freeAddress('10.0.0.0/30', 5, () => true)).toBeUndefined();
  });

  test('any host name makes a label, and taken ones get a number', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        expect(isLabel(labelOf(name))).toBe(true);
      }),
    );
    expect(labelOf("Alice's MacBook Pro.local")).toBe('alices-macbook-pro');
    expect(freeLabel('a'.repeat(63), (label) => label.endsWith('aa'))).toBe(`${'a'.repeat(61)}-1`);
  });
});

describe('a machine of a lost server', () => {
  const known = (number: number, more: object = {}): Command => ({
    kind: 'node.adopt',
    machineKey: key('mkey', number),
    nodeKey: key('nodekey', number),
    number,
    name: `box-${number}`,
    isNamed: false,
    login: 'alice@example.com',
    tags: [],
    addresses: [`100.64.0.${number}`, `fd7a:115c:a1e0::${number}`],
    approved: true,
    ephemeral: false,
    approvedRoutes: [],
    createdAtMs: nowMs - 1_000,
    ...more,
  });

  test('is what it was: number, name, addresses and owner; adopting it again changes nothing', () => {
    const state = after(emptyState(), known(7));
    expect(state.network.nodesById.get('n7')).toMatchObject({
      name: 'box-7',
      userId: 'u1',
      addresses: ['100.64.0.7', 'fd7a:115c:a1e0::7'],
    });
    expect(state.network.lastNode).toBe(7);
    expect(decide(state, known(7), context())).toEqual({ ok: true, value: [] });
    expect(decodeState(encodeState(state))).toBeDefined();
  });

  test('takes nothing from a machine that is here', () => {
    const state = after(after(emptyState(), preAuth({ reusable: true })), join(1));
    const address = decide(state, known(2, { addresses: ['100.64.0.1', 'fd7a::2'] }), context());
    expect(message(address)).toMatch(/belongs to the node box-1/);
    const stolen = decide(state, known(2, { nodeKey: key('nodekey', 1) }), context());
    expect(message(stolen)).toMatch(/belongs to another machine/);
    const adopted = after(state, known(2, { number: 1, name: 'box-1' }));
    expect(adopted.network.nodesById.get('n2')).toMatchObject({ name: 'box-1-1' });
  });

  test.each([
    [{ machineKey: key('nodekey', 3) }, /machineKey/],
    [{ nodeKey: key('mkey', 3) }, /nodeKey/],
    [{ nodeKey: key('nodekey', 0) }, /nodeKey/],
    [{ addresses: ['100.64.0.9'] }, /addresses/],
    [{ addresses: ['fd7a::9', '100.64.0.9'] }, /addresses/],
    [{ login: undefined }, /login/],
    [{ name: 'Not a label' }, /name/],
    [{ number: 2_147_455_555 }, /number/],
  ])('with %o is refused', (more, why) => {
    expect(message(decide(emptyState(), known(3, more), context()))).toMatch(why);
  });
});

describe('a role', () => {
  const role = (more: object): Command => ({
    kind: 'user.role',
    login: 'alice@example.com',
    ...more,
  });

  test('is nobody’s by coming first; an operator gives it and takes it back', () => {
    const first = after(emptyState(), preAuth());
    expect(first.network.usersById.get('u1')).not.toHaveProperty('role');
    const admin = after(first, role({ role: 'admin' }));
    expect(admin.network.usersByLogin.get('alice@example.com')).toMatchObject({ role: 'admin' });
    expect(decodeState(encodeState(admin))).toBeDefined();
    expect(after(admin, role({})).network.usersById.get('u1')).not.toHaveProperty('role');
  });

  test('is for somebody who is known', () => {
    expect(message(decide(emptyState(), role({ role: 'admin' }), context()))).toMatch(/no user/);
  });
});

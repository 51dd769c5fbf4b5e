import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeState, encodeState } from './codec.ts';
import type { Command } from './command.ts';
import { decide } from './decide.ts';
import type { State } from './model.ts';
import { emptyState, reduce } from './reduce.ts';
import type { Rotation } from './registry-command.ts';
import { epochOf, ownedBy, rosterOf } from './registry-state.ts';

function answer(state: State, command: Command, nowMs = 1_000) {
  return decide(state, command, {
    nowMs,
    newId: () => 'x',
    author: { actor: { principal: 'local:uid:1000', channel: 'control-socket' } },
  });
}

function after(state: State, command: Command, nowMs?: number): State {
  const decided = answer(state, command, nowMs);
  if (!decided.ok) throw new Error(decided.error.message);
  return decided.value.reduce(reduce, state);
}

interface Said {
  readonly uuid?: string;
  readonly nodeType?: string;
  readonly owner?: string;
  readonly rotation?: Rotation;
  readonly port?: number;
}

function register(said: Said = {}): Command {
  const { uuid = 'a', nodeType = 'instant', owner = 'key:k1', rotation = 'never', port } = said;
  return {
    kind: 'instance.register',
    claim: {
      uuid,
      nodeType,
      hostname: 'box',
      addresses: ['100.64.0.7'],
      ...(port === undefined ? {} : { port }),
      metadata: {},
      leaseMs: 30_000,
    },
    owner,
    rotation,
  };
}

const ids = (state: State, type: string): string[] =>
  rosterOf(state.registry, type).map(({ uuid }) => uuid);

describe('the registry', () => {
  test('takes the same claim twice as one, and a new one as an update that keeps when it came', () => {
    const once = after(emptyState(), register(), 1_000);
    expect(answer(once, register(), 2_000)).toEqual({ ok: true, value: [] });
    const updated = after(once, register({ port: 9 }), 2_000);
    expect(updated.registry.instancesById.get('a')).toMatchObject({
      port: 9,
      registeredAtMs: 1_000,
      updatedAtMs: 2_000,
    });
  });

  test('lets nobody touch what is somebody else’s, except an operator', () => {
    const state = after(emptyState(), register());
    expect(answer(state, register({ owner: 'key:k2' }))).toMatchObject({
      error: { code: 'access_denied', param: 'uuid' },
    });
    const leave = { kind: 'instance.leave', uuid: 'a', rotation: 'never' } as const;
    expect(answer(state, { ...leave, owner: 'key:k2' })).toMatchObject({
      error: { code: 'access_denied' },
    });
    expect(ids(after(state, leave), 'instant')).toEqual([]);
    expect(answer(emptyState(), { ...leave, owner: 'key:k1' })).toEqual({ ok: true, value: [] });
  });

  test('moves an instance that changes its type', () => {
    const state = after(after(emptyState(), register()), register({ nodeType: 'thinking' }));
    expect([ids(state, 'instant'), ids(state, 'thinking')]).toEqual([[], ['a']]);
    expect(state.registry.types).toEqual(['thinking']);
    expect(ownedBy(state.registry, 'key:k1')).toBe(1);
  });

  test('ends only the leases that were meant', () => {
    const state = after(after(emptyState(), register({ uuid: 'a' })), register({ uuid: 'b' }));
    const expire: Command = {
      kind: 'instances.expire',
      leases: [
        { uuid: 'a', updatedAtMs: 1_000 },
        { uuid: 'b', updatedAtMs: 999 },
        { uuid: 'c', updatedAtMs: 1_000 },
      ],
      rotation: 'never',
    };
    expect(ids(after(state, expire), 'instant')).toEqual(['b']);
    expect(answer(after(state, expire), expire)).toEqual({ ok: true, value: [] });
  });

  test.each([
    ['never', 1, 1],
    ['leave', 1, 2],
    ['change', 2, 3],
  ] as const)(
    'with rotation "%s" is in epoch %i after a join and %i after a leave',
    (rotation, joined, left) => {
      const state = after(emptyState(), register({ rotation }));
      expect(epochOf(state.registry, 'instant')).toBe(joined);
      const gone = after(state, { kind: 'instance.leave', uuid: 'a', rotation });
      expect(epochOf(gone.registry, 'instant')).toBe(left);
      expect(epochOf(gone.registry, 'other')).toBe(1);
    },
  );

  test('rotates a group when an operator says so, and knows which there are', () => {
    const state = after(emptyState(), register());
    const rotated = after(state, { kind: 'group.rotate', nodeType: '' }, 5_000);
    expect(rotated.registry.groups.get('')).toEqual({ nodeType: '', epoch: 2, rotatedAtMs: 5_000 });
    expect(answer(state, { kind: 'group.rotate', nodeType: 'none' })).toMatchObject({
      error: { code: 'not_found' },
    });
  });

  test('agrees with a plain map, keeps its indexes, and reads back what it wrote', () => {
    const step = fc.record({
      isJoin: fc.boolean(),
      uuid: fc.constantFrom('a', 'b', 'c', 'd'),
      owner: fc.constantFrom('key:k1', 'key:k2'),
      nodeType: fc.constantFrom('', 'x', 'y'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const model = new Map<string, { owner: string; nodeType: string }>();
        let state = emptyState();
        for (const each of steps) {
          const { uuid, owner, nodeType, isJoin } = each;
          const held = model.get(uuid);
          const decided = answer(
            state,
            isJoin ? register(each) : { kind: 'instance.leave', uuid, owner, rotation: 'leave' },
          );
          expect(decided.ok).toBe(held === undefined || held.owner === owner);
          if (!decided.ok) continue;
          state = decided.value.reduce(reduce, state);
          if (isJoin) model.set(uuid, { owner, nodeType });
          else model.delete(uuid);
        }
        const types = [...new Set([...model.values()].map(({ nodeType }) => nodeType))].toSorted();
        expect(state.registry.types).toEqual(types);
        for (const type of types) {
          const wanted = [...model].filter(([, { nodeType }]) => nodeType === type);
          expect(ids(state, type)).toEqual(wanted.map(([id]) => id).toSorted());
        }
        for (const who of ['key:k1', 'key:k2']) {
          const count = [...model.values()].filter(({ owner }) => owner === who).length;
          expect(ownedBy(state.registry, who)).toBe(count);
        }
        const text = encodeState(state);
        const back = decodeState(text);
        expect(back === undefined ? '' : encodeState(back)).toBe(text);
        expect(back?.registry.types).toEqual(state.registry.types);
      }),
    );
  });
});

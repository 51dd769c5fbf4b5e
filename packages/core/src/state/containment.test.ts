import { err, ok, present } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import type { Command, State, StateEvent } from './index.ts';
import { decide, decodeState, emptyState, encodeState, principalBlock, reduce } from './index.ts';

const nowMs = 1_800_000_000_000;
let ids = 0;
const context = {
  nowMs,
  newId: () => `${(ids += 1)}`,
  author: { actor: { principal: 'local:uid:1000', channel: 'control-socket' } },
} as const;

function eventsOf(state: State, command: Command): readonly StateEvent[] {
  const decided = decide(state, command, context);
  if (!decided.ok) throw new Error(decided.error.message);
  return decided.value;
}
const after = (state: State, command: Command): State =>
  eventsOf(state, command).reduce(reduce, state);

const block = (prefix: string, expiresAtMs?: number): Command => ({
  kind: 'block.create',
  target: { by: 'address', prefix },
  ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
});

describe('a block', () => {
  test('is one per target, and stands until it is lifted', () => {
    const state = after(emptyState(), block('203.0.113.7/32'));
    const [made] = [...state.containment.blocksById.values()];
    expect(made).toMatchObject({
      target: { prefix: '203.0.113.7/32' },
      createdBy: 'local:uid:1000',
    });
    expect(eventsOf(state, block('203.0.113.7/32'))).toEqual([]);
    expect(eventsOf(state, block('203.0.113.7/32', nowMs + 1))).toEqual([]);
    const lifted = after(state, { kind: 'block.lift', id: present(made, 'it').id });
    expect(lifted.containment.blocksById.size).toBe(0);
    expect(lifted.containment.blocksByTarget.size).toBe(0);
  });

  test('that ends later replaces the one before', () => {
    const state = after(after(emptyState(), block('fd00::/8', nowMs + 1)), block('fd00::/8'));
    expect([...state.containment.blocksById.values()]).toHaveLength(1);
    expect([...state.containment.blocksById.values()][0]?.expiresAtMs).toBeUndefined();
  });

  test.each(['0.0.0.0/0', '::/0', '203.0.113.7', '203.0.113.7/24', 'x', ''])(
    'does not take %s',
    (prefix) => {
      expect(decide(emptyState(), block(prefix), context)).toMatchObject({
        error: { code: 'invalid_request', param: 'target.prefix' },
      });
    },
  );

  test('of a principal ends at its time, not after', () => {
    const target = { by: 'principal', principal: 'tailnet:eve@example.com' } as const;
    const state = after(emptyState(), { kind: 'block.create', target, expiresAtMs: nowMs + 5 });
    const of = (atMs: number) => principalBlock(state.containment, target.principal, atMs);
    expect(of(nowMs + 4)?.target).toEqual(target);
    expect(of(nowMs + 5)).toBeUndefined();
    expect(principalBlock(state.containment, 'tailnet:bob@example.com', nowMs)).toBeUndefined();
  });
});

describe('isolation', () => {
  test('begins once and ends once; the wider one stays', () => {
    const narrow = after(emptyState(), { kind: 'isolation.set', scope: 'vllm' });
    const wide = after(narrow, { kind: 'isolation.set', scope: 'all', reason: 'exposed' });
    expect(wide.containment.isolation).toMatchObject({ scope: 'all', reason: 'exposed' });
    expect(eventsOf(wide, { kind: 'isolation.set', scope: 'vllm' })).toEqual([]);
    const open = after(wide, { kind: 'isolation.lift' });
    expect(open.containment.isolation).toBeUndefined();
    expect(eventsOf(open, { kind: 'isolation.lift' })).toEqual([]);
  });
});

describe('a rotated key', () => {
  const created = after(emptyState(), {
    kind: 'key.create',
    name: 'ci',
    digest: 'a'.repeat(64),
    hint: 'aaaa',
    scope: { models: ['local/**'] },
    boundTo: ['tag:ci'],
    expiresAtMs: nowMs + 1_000,
  });
  const rotate: Command = { kind: 'key.rotate', key: 'ci', digest: 'b'.repeat(64), hint: 'bbbb' };

  test('has a successor with its name, rights and end, in one record', () => {
    expect(eventsOf(created, rotate).map(({ kind }) => kind)).toEqual([
      'key.revoked',
      'key.created',
    ]);
    const state = after(created, rotate);
    const old = present(state.keysByDigest.get('a'.repeat(64)), 'the old key');
    const fresh = present(state.keysByName.get('ci'), 'the new key');
    expect(old.revokedAtMs).toBe(nowMs);
    expect(fresh).toMatchObject({
      digest: 'b'.repeat(64),
      scope: { models: ['local/**'] },
      boundTo: ['tag:ci'],
      expiresAtMs: nowMs + 1_000,
    });
    expect(fresh.id).not.toBe(old.id);
  });

  test('that does not count any more has none', () => {
    const revoked = after(created, { kind: 'key.revoke', key: 'ci', withChildren: false });
    expect(decide(revoked, rotate, context)).toMatchObject({ error: { code: 'not_found' } });
    const late = { ...context, nowMs: nowMs + 1_000 };
    expect(decide(created, rotate, late)).toMatchObject({ error: { code: 'conflict' } });
    expect(decide(created, { ...rotate, digest: 'a'.repeat(64) }, context)).toMatchObject(
      err({ code: 'conflict' }),
    );
  });
});

test('what was contained is the same after a restart', () => {
  const note = {
    id: 'inc_1',
    step: 'isolate',
    verdict: 'proven',
    digest: 'c'.repeat(64),
    atMs: nowMs,
    isDrill: true,
  } as const;
  const commands: readonly Command[] = [
    block('203.0.113.0/24', nowMs + 5),
    { kind: 'isolation.set', scope: 'all' },
    { kind: 'incident.note', note },
    { kind: 'incident.note', note: { ...note, isDrill: false } },
    { kind: 'incident.note', note: { ...note, id: 'inc_2', verdict: 'unproven' } },
  ];
  const state = commands.reduce(after, emptyState());
  expect(state.containment.notes.map(({ id, isDrill }) => [id, isDrill])).toEqual([
    ['inc_1', false],
    ['inc_2', true],
  ]);
  const text = encodeState(state);
  expect(ok(encodeState(present(decodeState(text), 'the state')))).toEqual(ok(text));
  expect(encodeState(emptyState())).not.toContain('containment');
});

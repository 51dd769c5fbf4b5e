import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Command } from './command.ts';
import { decide } from './decide.ts';
import { decodeState, encodeState } from './codec.ts';
import { stateLimits } from './limits.ts';
import type { Author, PolicyRisk, State } from './model.ts';
import { currentPolicy, noPolicy, policyDigest } from './policy-state.ts';
import { emptyState, reduce } from './reduce.ts';

const owner: Author = { actor: { principal: 'local:uid:0', channel: 'control-socket' } };
const alice: Author = { actor: { principal: 'tailnet:alice', channel: 'admin' } };
const bob: Author = { actor: { principal: 'tailnet:bob', channel: 'admin' } };
const system: Author = { actor: { principal: 'local:uid:0', channel: 'system' } };
const digestOf = (letter: string): string => letter.repeat(64);
const [a, b, c] = [digestOf('a'), digestOf('b'), digestOf('c')];

class Bench {
  state: State = emptyState();
  nowMs = 1_000;
  #ids = 0;

  /** `done`, `nothing`, or the code of the refusal. */
  run(command: Command, author: Author = owner): string {
    const newId = (): string => String((this.#ids += 1));
    const decided = decide(this.state, command, { nowMs: this.nowMs, newId, author });
    if (!decided.ok) return decided.error.code;
    this.state = decided.value.reduce(reduce, this.state);
    return decided.value.length === 0 ? 'nothing' : 'done';
  }

  apply(
    digest: string,
    more: Partial<Extract<Command, { kind: 'policy.apply' }>> = {},
    by = owner,
  ) {
    const base = policyDigest(this.state.policy);
    return this.run({ kind: 'policy.apply', text: digest, digest, base, risk: 'low', ...more }, by);
  }

  plan(digest: string, by: Author, persons: readonly string[] = [], risk: PolicyRisk = 'high') {
    const base = policyDigest(this.state.policy);
    const lifeMs = 10_000;
    const done = this.run(
      { kind: 'plan.create', text: digest, digest, base, risk, summary: ['why'], persons, lifeMs },
      by,
    );
    return { done, id: this.state.policy.plans.at(-1)?.id ?? '' };
  }

  get inForce(): string | undefined {
    return currentPolicy(this.state.policy)?.digest;
  }
}

describe('applying a policy', () => {
  test('needs the digest of the policy in force, or that there is none', () => {
    const bench = new Bench();
    expect(bench.apply(a, { base: b })).toBe('conflict');
    expect(bench.apply(a, { base: noPolicy })).toBe('done');
    expect(bench.apply(b, { base: noPolicy })).toBe('conflict');
    expect(bench.apply(b, { base: 'x' })).toBe('invalid_request');
    expect(bench.apply(b, { base: a })).toBe('done');
    expect(bench.inForce).toBe(b);
  });
  test('is nothing where the policy is in force already', () => {
    const bench = new Bench();
    bench.apply(a);
    expect(bench.apply(a)).toBe('nothing');
    expect(bench.state.policy.lastNumber).toBe(1);
  });
  test('of high risk needs no plan where it is the first one ever and the process applies it itself', () => {
    for (const by of [owner, alice]) {
      expect(new Bench().apply(a, { risk: 'high' }, by)).toBe('access_denied');
    }
    const bench = new Bench();
    expect(bench.apply(a, { risk: 'high' }, system)).toBe('done');
    expect(bench.apply(b, { risk: 'high' }, system)).toBe('access_denied');
    bench.run({ kind: 'policy.rollback', expected: a, cause: 'asked' });
    expect(bench.inForce).toBeUndefined();
    expect(bench.apply(a, { risk: 'high' }, system)).toBe('access_denied');
  });
  test('refuses texts and trials beyond the limits', () => {
    const bench = new Bench();
    const text = 'x'.repeat(stateLimits.policyCharsMax + 1);
    expect(bench.apply(a, { text })).toBe('invalid_request');
    expect(bench.apply(a, { confirmWithinMs: 999 })).toBe('invalid_request');
    expect(bench.apply(a, { confirmWithinMs: stateLimits.trialMsMax + 1 })).toBe('invalid_request');
  });
});

describe('a trial', () => {
  test('ends well with a confirmation of the very policy, before the deadline', () => {
    const bench = new Bench();
    bench.apply(a, { confirmWithinMs: 5_000 });
    expect(bench.run({ kind: 'policy.confirm', digest: b })).toBe('conflict');
    expect(bench.run({ kind: 'policy.confirm', digest: a })).toBe('done');
    expect(bench.run({ kind: 'policy.confirm', digest: a })).toBe('conflict');
    bench.nowMs += 10_000;
    expect(bench.run({ kind: 'policy.rollback', expected: a, cause: 'unconfirmed' }, system)).toBe(
      'conflict',
    );
    expect(bench.inForce).toBe(a);
  });
  test('cannot be confirmed at its deadline, and then goes back to the policy before', () => {
    const bench = new Bench();
    bench.apply(a);
    bench.apply(b, { confirmWithinMs: 5_000 });
    const rollback = { kind: 'policy.rollback', expected: b, cause: 'unconfirmed' } as const;
    bench.nowMs += 4_999;
    expect(bench.run(rollback, system)).toBe('conflict');
    bench.nowMs += 1;
    expect(bench.run({ kind: 'policy.confirm', digest: b })).toBe('conflict');
    expect(bench.run(rollback, system)).toBe('done');
    expect(bench.inForce).toBe(a);
    expect(bench.state.policy.pending).toBeUndefined();
  });
  test('goes back to no policy where there was none, and numbers never repeat', () => {
    const bench = new Bench();
    bench.apply(a, { confirmWithinMs: 1_000 });
    bench.nowMs += 1_000;
    bench.run({ kind: 'policy.rollback', expected: a, cause: 'unconfirmed' }, system);
    expect(bench.inForce).toBeUndefined();
    bench.apply(b);
    expect(currentPolicy(bench.state.policy)).toMatchObject({ number: 2, previous: 0 });
  });
  test('is the only one, and may be taken back by hand from anywhere', () => {
    const bench = new Bench();
    bench.apply(a, { confirmWithinMs: 1_000 });
    expect(bench.apply(b)).toBe('conflict');
    expect(bench.run({ kind: 'policy.rollback', expected: b, cause: 'asked' }, alice)).toBe(
      'conflict',
    );
    expect(bench.run({ kind: 'policy.rollback', expected: a, cause: 'asked' }, alice)).toBe('done');
  });
});

describe('a confirmed policy', () => {
  test('is rolled back on the control socket alone', () => {
    const bench = new Bench();
    bench.apply(a);
    bench.apply(b);
    const rollback = { kind: 'policy.rollback', expected: b, cause: 'asked' } as const;
    expect(bench.run(rollback, alice)).toBe('access_denied');
    expect(bench.run(rollback, owner)).toBe('done');
    expect(bench.inForce).toBe(a);
  });
  test('is not rolled back beyond what is kept', () => {
    const bench = new Bench();
    const digests = Array.from({ length: 12 }, (_, i) => i.toString(16).repeat(64));
    for (const digest of digests) expect(bench.apply(digest)).toBe('done');
    const answers = Array.from({ length: 11 }, () =>
      bench.run({ kind: 'policy.rollback', expected: bench.inForce ?? '', cause: 'asked' }),
    );
    expect(answers).toEqual([...Array.from({ length: 9 }, () => 'done'), 'conflict', 'conflict']);
  });
});

describe('a change of high risk', () => {
  test('needs a plan for this very change that somebody approved', () => {
    const bench = new Bench();
    expect(bench.apply(a, { risk: 'high' }, alice)).toBe('access_denied');
    const { id } = bench.plan(a, alice, ['alice@example.com']);
    expect(bench.apply(a, { risk: 'high', plan: id }, alice)).toBe('access_denied');
    expect(bench.apply(b, { risk: 'high', plan: id }, alice)).toBe('conflict');
    const approve = { kind: 'plan.approve', id, persons: ['bob@example.com'] } as const;
    expect(bench.run(approve, bob)).toBe('done');
    expect(bench.run(approve, bob)).toBe('nothing');
    expect(bench.apply(a, { risk: 'high', plan: id }, alice)).toBe('done');
    expect(bench.state.policy.plans).toEqual([]);
  });
  test('is not approved by its author, by the author under another authority, or by a program', () => {
    const bench = new Bench();
    const { id } = bench.plan(a, alice, ['alice@example.com']);
    const approve = (persons: readonly string[], by: Author) =>
      bench.run({ kind: 'plan.approve', id, persons }, by);
    const other: Author = { actor: { principal: 'jwt:x#alice', channel: 'admin' } };
    expect(approve(['someone@example.com'], alice)).toBe('access_denied');
    expect(approve(['alice@example.com'], other)).toBe('access_denied');
    expect(approve([], other)).toBe('access_denied');
    expect(approve([], system)).toBe('access_denied');
  });
  test('is approved by the owner of the control socket, also where the owner planned it', () => {
    const bench = new Bench();
    const { id } = bench.plan(a, owner);
    expect(bench.run({ kind: 'plan.approve', id, persons: [] }, owner)).toBe('done');
  });
  test('is not approved once another policy is in force, or once the plan has expired', () => {
    const bench = new Bench();
    const first = bench.plan(a, alice);
    bench.nowMs += 10_000;
    expect(bench.run({ kind: 'plan.approve', id: first.id, persons: [] })).toBe('not_found');
    const second = bench.plan(a, alice);
    bench.apply(c);
    expect(bench.run({ kind: 'plan.approve', id: second.id, persons: [] })).toBe('conflict');
    expect(bench.apply(a, { risk: 'high', plan: second.id })).toBe('conflict');
  });
});

describe('plans', () => {
  test('that say the same are one', () => {
    const bench = new Bench();
    expect([bench.plan(a, alice).done, bench.plan(a, alice).done]).toEqual(['done', 'nothing']);
    expect(bench.plan(a, bob).done).toBe('done');
  });
  test('of an author without end push out that author’s own', () => {
    const bench = new Bench();
    const kept = bench.plan(a, alice).id;
    for (let i = 0; i < 40; i += 1) bench.plan(i.toString(16).padStart(64, '0'), bob);
    const { plans } = bench.state.policy;
    expect(plans.some(({ id }) => id === kept)).toBe(true);
    expect(plans).toHaveLength(stateLimits.plansPerAuthor + 1);
  });
});

test('whatever is asked, the state reads back as it was written and a trial is of what is in force', () => {
  const digest = fc.constantFrom(a, b, c);
  const step = fc.record({
    what: fc.constantFrom('apply', 'trial', 'confirm', 'rollback', 'overdue', 'plan', 'approve'),
    digest,
    waitMs: fc.constantFrom(0, 500, 1_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const bench = new Bench();
      for (const { what, digest: one, waitMs } of steps) {
        bench.nowMs += waitMs;
        if (what === 'apply') bench.apply(one);
        if (what === 'trial') bench.apply(one, { confirmWithinMs: 1_000 });
        if (what === 'confirm') bench.run({ kind: 'policy.confirm', digest: one });
        if (what === 'rollback')
          bench.run({ kind: 'policy.rollback', expected: one, cause: 'asked' });
        if (what === 'overdue')
          bench.run({ kind: 'policy.rollback', expected: one, cause: 'unconfirmed' });
        if (what === 'plan') bench.plan(one, alice);
        if (what === 'approve')
          bench.run({ kind: 'plan.approve', id: 'plan_1', persons: ['x@example.com'] }, bob);
        const { policy } = bench.state;
        if (policy.pending !== undefined) expect(policy.pending.digest).toBe(bench.inForce);
        const text = encodeState(bench.state);
        const back = decodeState(text);
        expect(back?.policy).toEqual(policy);
        expect(back === undefined ? '' : encodeState(back)).toBe(text);
      }
    }),
    { numRuns: 150 },
  );
});

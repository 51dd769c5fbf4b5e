import { describe, expect, test } from 'vitest';
import type { FindingKind } from './index.ts';
import { fail, findingOf, fixPlanOf, note, pass, reportOf, unknown } from './index.ts';

const kind: FindingKind = {
  id: 'door-shut',
  title: 'The door is shut',
  why: 'An open door lets the cat out.',
  next: 'shut the door',
  severity: 'low',
};

describe('a finding', () => {
  test('says what to type next only where something is wrong', () => {
    expect(findingOf(kind, pass('It is shut.')).next).toBeUndefined();
    expect(findingOf(kind, note('It squeaks.')).next).toBeUndefined();
    expect(findingOf(kind, fail('It is open.')).next).toBe('shut the door');
    expect(findingOf(kind, unknown('It is dark.')).next).toBe('shut the door');
  });

  test('takes the advice of the case before that of its row', () => {
    const outcome = { ...fail('It is open.'), next: 'call the cat' };
    expect(findingOf(kind, outcome).next).toBe('call the cat');
  });

  test('carries no more evidence than people read', () => {
    const many = Array.from({ length: 30 }, (_, at) => `cat ${at}`);
    const { evidence } = findingOf(kind, fail('It is open.', ...many));
    expect(evidence).toHaveLength(21);
    expect(evidence.at(-1)).toBe('and 10 more');
  });
});

describe('a report', () => {
  test('fails where one failed, and is unknown where one could not be looked at', () => {
    const good = findingOf(kind, pass('It is shut.'));
    const dark = findingOf(kind, unknown('It is dark.'));
    const open = findingOf(kind, fail('It is open.'));
    expect(reportOf([good]).verdict).toBe('pass');
    expect(reportOf([good, dark]).verdict).toBe('unknown');
    expect(reportOf([good, dark, open])).toMatchObject({
      verdict: 'fail',
      counts: { pass: 1, unknown: 1, fail: 1, note: 0 },
    });
  });

  test('becomes a plan: failures first, the grave before the small, no step twice', () => {
    const at = (id: string, severity: 'high' | 'low', next: string) => ({
      ...kind,
      id,
      severity,
      next,
    });
    const findings = [
      findingOf(at('a', 'low', 'one'), fail('x')),
      findingOf(at('b', 'high', 'two'), unknown('x')),
      findingOf(at('c', 'high', 'three'), fail('x')),
      findingOf(at('d', 'low', 'three'), fail('x')),
      findingOf(at('e', 'high', 'none'), pass('x')),
    ];
    expect(fixPlanOf(reportOf(findings))).toEqual([
      { next: 'three', mends: ['c', 'd'], severity: 'high' },
      { next: 'one', mends: ['a'], severity: 'low' },
      { next: 'two', mends: ['b'], severity: 'high' },
    ]);
  });
});

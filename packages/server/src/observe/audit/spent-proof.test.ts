import type { AuditRecord, PlacedRecord } from '@postern/core/state/audit';
import { auditLimits, recordBody } from '@postern/core/state/audit';
import { expect, test } from 'vitest';
import { SpentMarks } from './spent-marks.ts';
import { SpentProof } from './spent-proof.ts';

const paid = (accounts: readonly string[], cost: number): AuditRecord => ({
  kind: 'request',
  v: 1,
  atMs: 1,
  fields: { accounts, cost_nano_usd: cost },
});

/** A log as one process after the other writes it. */
function logOf(): { records: AuditRecord[]; marks: SpentMarks; pay(a: string[], c: number): void } {
  const records: AuditRecord[] = [];
  const marks = new SpentMarks();
  const pay = (accounts: readonly string[], cost: number): void => {
    records.push(paid(accounts, cost));
    marks.add(accounts, cost);
  };
  return { records, marks, pay };
}

function proofOf(records: readonly AuditRecord[], from = 0): SpentProof {
  const proof = new SpentProof();
  for (const [at, record] of records.slice(from).entries()) {
    const placed: PlacedRecord = { ...record, index: at + 1 };
    proof.take(placed);
  }
  return proof;
}

test('what a process paid from each account is the sum of its own records', () => {
  const { records, marks, pay } = logOf();
  pay(['a'], 1_000);
  records.push(marks.begin('p1', 1));
  pay(['a', 'b'], 5);
  pay(['a'], 7);
  records.push(marks.begin('p2', 2));
  pay(['a'], 11);
  const proof = proofOf(records);
  expect(proof.of('p1', 'a')).toBe(12);
  expect(proof.of('p1', 'b')).toBe(5);
  expect(proof.of('p1', 'c')).toBe(0);
  expect(proof.of('p2', 'a')).toBe(11);
  expect(proof.of('p3', 'a')).toBeUndefined();
});

test('a reader that begins anywhere knows an account from the first mark on that names it, and never more than was paid', () => {
  const { records, marks, pay } = logOf();
  records.push(marks.begin('p', 1));
  let sum: Record<string, number> = {};
  for (let turn = 0; turn < 50; turn += 1) {
    const account = `a${turn % 3}`;
    pay([account], turn + 1);
    sum = { ...sum, [account]: (sum[account] ?? 0) + turn + 1 };
    if (turn % 7 === 0) records.push(...marks.take(turn));
  }
  for (let from = 0; from < records.length; from += 1) {
    const proof = proofOf(records, from);
    for (const account of ['a0', 'a1', 'a2']) {
      const known = proof.of('p', account);
      if (known !== undefined)
        expect([from, account, known]).toEqual([from, account, sum[account]]);
    }
  }
  expect(proofOf(records, 20).of('p', 'a1')).toBe(sum['a1']);
});

test('marks name the accounts that changed, in records that fit', () => {
  const { marks } = logOf();
  expect(marks.take(1)).toEqual([]);
  marks.begin('p', 1);
  for (let at = 0; at < 300; at += 1) marks.add([`account-${at}`], 1);
  marks.add(['free'], 0);
  const taken = marks.take(2);
  expect(taken).toHaveLength(3);
  expect(taken.flatMap(({ fields }) => fields['accounts'])).toHaveLength(300);
  expect(marks.take(3)).toEqual([]);
});

test('a mark of accounts with long names fits into records', () => {
  const marks = new SpentMarks();
  marks.begin('p1', 1);
  const names = Array.from(
    { length: 300 },
    (_, n) => `monthly/jwt:https://idp.example/realms/company#${'\u5b57'.repeat(n % 256)}${n}`,
  );
  for (const [n, name] of names.entries()) marks.add([name], n + 1);
  const records = marks.take(2);
  for (const record of records) {
    expect(Buffer.byteLength(recordBody(record, 1))).toBeLessThanOrEqual(auditLimits.bodyBytesMax);
  }
  const proof = proofOf(records);
  expect(names.map((name) => proof.of('p1', name))).toEqual(names.map((_, n) => n + 1));
  expect(marks.take(3)).toEqual([]);
});

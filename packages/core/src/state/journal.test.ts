import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Head, JournalRow } from './journal.ts';
import { emptySnapshot, genesis, openRow, replay, rowHash, sealRecord } from './journal.ts';

const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');
const actor = { principal: 'local:uid:1000', channel: 'control-socket' } as const;

function seal(head: Head, n: number): JournalRow {
  const generation = {
    number: n,
    digest: sha256Hex(String(n)),
    text: `{"n":${n}}`,
    appliedBy: actor.principal,
    appliedAtMs: n,
  };
  const events = [{ kind: 'config.applied', generation } as const];
  return sealRecord(head, { atMs: n, actor, command: 'config.apply', events }, sha256Hex);
}

function journal(count: number): JournalRow[] {
  const rows: JournalRow[] = [];
  for (let n = 1; n <= count; n += 1) rows.push(seal(rows.at(-1) ?? genesis, n));
  return rows;
}

describe('the journal', () => {
  test('a record has one text and one hash: this one is pinned', () => {
    const event = {
      kind: 'state.restored',
      index: 0,
      headHash: genesis.hash,
      backupAtMs: 0,
    } as const;
    const row = sealRecord(
      genesis,
      { atMs: 1, actor, command: 'state.restored', events: [event] },
      sha256Hex,
    );
    const zeros = '0'.repeat(64);
    expect(row.body).toBe(
      `{"actor":{"channel":"control-socket","principal":"local:uid:1000"},"atMs":1,"command":"state.restored","events":[{"backupAtMs":0,"headHash":"${zeros}","index":0,"kind":"state.restored"}],"index":1,"prevHash":"${zeros}","v":1}`,
    );
    expect(row.hash).toBe(sha256Hex(`postern.journal.v1\n${row.body}`));
  });

  test('replaying gives the state, its place and its time', () => {
    const rows = journal(5);
    const snapshot = replay(emptySnapshot(), rows, sha256Hex);
    expect(snapshot).toMatchObject({ ok: true, value: { index: 5, atMs: 5 } });
    expect(snapshot.ok && snapshot.value.headHash).toBe(rows[4]?.hash);
    expect(snapshot.ok && snapshot.value.generations[0]?.number).toBe(5);
  });

  test('any changed character of any row is found at that row', () => {
    const rows = journal(4);
    fc.assert(
      fc.property(
        fc.nat({ max: 3 }),
        fc.nat(),
        fc.constantFrom('body', 'hash', 'prevHash'),
        (at, place, column) => {
          const row = rows[at];
          if (row === undefined) return;
          const text = row[column as 'body'];
          const i = place % text.length;
          const changed = text.slice(0, i) + (text[i] === 'x' ? 'y' : 'x') + text.slice(i + 1);
          const forged = rows.with(at, { ...row, [column]: changed });
          expect(replay(emptySnapshot(), forged, sha256Hex)).toMatchObject({
            ok: false,
            error: { index: at + 1 },
          });
        },
      ),
    );
  });

  test('missing, swapped, repeated and foreign rows are found', () => {
    const rows = journal(4);
    const other = seal(genesis, 9);
    for (const forged of [
      rows.toSpliced(1, 1),
      [rows[1], rows[0], rows[2], rows[3]],
      [rows[0], rows[0]],
      [other, rows[1]],
    ]) {
      const list = forged.filter((row) => row !== undefined);
      expect(replay(emptySnapshot(), list, sha256Hex).ok).toBe(false);
    }
  });

  test('a forger who hashes well still cannot write what makes no sense', () => {
    const event = { kind: 'key.revoked', id: 'key_never', atMs: 1 } as const;
    const row = sealRecord(
      genesis,
      { atMs: 1, actor, command: 'key.revoke', events: [event] },
      sha256Hex,
    );
    expect(replay(emptySnapshot(), [row], sha256Hex)).toMatchObject({
      error: { index: 1, what: expect.stringContaining('does not fit the state') },
    });
  });

  test('a record of a newer release is not half understood', () => {
    const [row] = journal(1);
    if (row === undefined) return;
    for (const body of [
      row.body.replace('"v":1', '"v":2'),
      row.body.replace('{"actor"', '{"aaa":1,"actor"'),
      row.body.replace('config.applied', 'config.unknown'),
      row.body.replace('"kind"', '"__proto__":{},"kind"'),
      '[]',
      '{',
    ]) {
      const resealed = { ...row, body, hash: rowHash(body, sha256Hex) };
      expect(openRow(genesis, resealed, sha256Hex)).toMatchObject({
        error: { what: expect.stringContaining('does not know') },
      });
    }
  });

  test('columns that contradict the content are found', () => {
    const [row] = journal(1);
    if (row === undefined) return;
    expect(openRow(genesis, { ...row, atMs: 2 }, sha256Hex)).toMatchObject({
      error: { what: expect.stringContaining('columns') },
    });
  });
});

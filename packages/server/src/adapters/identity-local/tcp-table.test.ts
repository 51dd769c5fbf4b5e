import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { endianness, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTcpPair } from './tcp-table.ts';

const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n';
const client = { address: '127.0.0.1', port: 0xcafe };
const server = { address: '127.0.0.1', port: 0x1f90 };
const a4 = '0100007F:CAFE';
const b4 = '0100007F:1F90';
const mapped = '0000000000000000FFFF00000100007F';
const six = '00000000000000000000000001000000';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-tcp-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function row(
  number: number,
  ends: string,
  uid: number,
  inode: number,
  state = '01',
  tail = '',
): string {
  return `${String(number).padStart(4)}: ${ends} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 ${inode} 1 0000000000000000 20 4 30 10 -1${tail}\n`;
}

function find(tcp: string, tcp6 = header) {
  writeFileSync(join(folder, 'tcp'), tcp);
  writeFileSync(join(folder, 'tcp6'), tcp6);
  return findTcpPair(folder, client, server);
}

describe.skipIf(endianness() !== 'LE')('the table of connections', () => {
  const pair = row(1, `${b4} ${a4}`, 0, 7) + row(2, `${a4} ${b4}`, 1_000, 8);
  const expected = {
    client: { state: '01', uid: 1_000, inode: 8 },
    server: { state: '01', uid: 0, inode: 7 },
  };

  test('gives state, user and inode of both ends', () => {
    expect(find(header + pair)).toEqual(expected);
    expect(find(header)).toEqual({ client: undefined, server: undefined });
    expect(find('')).toEqual({ client: undefined, server: undefined });
  });

  test('is read in both families for an IPv4 connection', () => {
    const inSix = header + row(1, `${mapped}:CAFE ${mapped}:1F90`, 1_000, 8);
    expect(find(header + row(1, `${b4} ${a4}`, 0, 7), inSix)).toEqual(expected);
  });

  test('is read in tcp6 alone for an IPv6 connection', () => {
    writeFileSync(join(folder, 'tcp'), header + pair);
    writeFileSync(
      join(folder, 'tcp6'),
      header +
        row(1, `${six}:1F90 ${six}:CAFE`, 0, 7) +
        row(2, `${six}:CAFE ${six}:1F90`, 1_000, 8),
    );
    const ends = [
      { ...client, address: '::1' },
      { ...server, address: '::1' },
    ] as const;
    expect(findTcpPair(folder, ...ends)).toEqual(expected);
    expect(findTcpPair(folder, client, { ...server, address: '::1' }).client).toBeUndefined();
    expect(findTcpPair(folder, { ...client, address: 'x' }, server).client).toBeUndefined();
  });

  test('is found among twenty thousand rows, wherever it stands', () => {
    const others = Array.from({ length: 20_000 }, (_, i) =>
      row(
        i,
        `0100007F:${(i + 1_024).toString(16).toUpperCase().padStart(4, '0')} 0200007F:1F90`,
        33,
        i + 9,
      ),
    );
    const all = others.join('');
    expect(find(header + all + pair)).toEqual(expected);
    expect(find(header + pair + all)).toEqual(expected);
    expect(find(header + all).client).toBeUndefined();
  });

  test('is found wherever the reads happen to cut the rows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat({ max: 120 }), { minLength: 0, maxLength: 300 }),
        fc.nat({ max: 300 }),
        (tails, at) => {
          const rows = tails.map((tail, i) =>
            row(i, `0200007F:CAFE ${b4}`, 33, i + 9, '01', 'x'.repeat(tail)),
          );
          rows.splice(Math.min(at, rows.length), 0, pair);
          expect(find(header + rows.join(''))).toEqual(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('is not misread where a line is not a row', () => {
    expect(find(`${header}   1: ${a4} ${b4} 01 x y\n`).client).toBeUndefined();
    expect(find(`${header}   1: ${a4} ${b4}\n`).client).toBeUndefined();
    expect(find(`${header}${'x'.repeat(40_000)}${pair}`).client).toBeUndefined();
    expect(find(header + row(1, `${a4.replace('7F:', '7E:')} ${b4}`, 0, 1)).client).toBeUndefined();
  });

  test('that cannot be read throws', () => {
    expect(() => findTcpPair(join(folder, 'none'), client, server)).toThrow('ENOENT');
  });
});

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  constants,
  mkdtemp,
  open as openFile,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { present } from '@postern/core/base';
import type { AuditRecord, PlacedRecord } from '@postern/core/state/audit';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { TreeLog } from '../../observe/audit/index.ts';
import type { RecoverOptions } from './recover.ts';
import { recover } from './recover.ts';
import type { SegmentBounds } from './writer.ts';
import { SegmentWriter } from './writer.ts';
import { durableLine, durableName, readDurableLine, readDurableMark } from './durable-mark.ts';
import { makeFolder } from './files.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-segment-'));
  folders.push(folder);
  return path.join(folder, 'audit');
}

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

const origin = 'postern.dev/audit/test';

async function open(
  dir: string,
  more: Partial<RecoverOptions> & { readonly bounds?: Partial<SegmentBounds> } = {},
): Promise<TreeLog> {
  await makeFolder(dir);
  const durable = await readDurableMark(dir);
  const recovered = await recover({ dir, origin, sha256, durable, ...more });
  if (!recovered.ok) throw new Error(`damage at ${recovered.error.index}: ${recovered.error.what}`);
  const { bounds: changed } = more;
  const bounds = {
    reserveBytes: 4_096,
    retryMs: 20,
    segmentBytesMax: 1_000_000,
    slowMs: 3_000,
    ...changed,
  };
  const nowMs = (): number => 1_000;
  return new SegmentWriter({ dir, origin, nowMs, recovered: recovered.value, bounds });
}

function record(n: number): AuditRecord {
  return { kind: 'test', v: 1, atMs: n, fields: { n, text: 'x'.repeat(n % 40) } };
}

async function fill(log: TreeLog, from: number, to: number): Promise<void> {
  for (let n = from; n <= to; n += 1) expect(log.append(record(n))).toEqual({ ok: true, value: n });
  expect(await log.whenDurable(to)).toBe(true);
}

async function indexes(log: TreeLog, from: number, to: number): Promise<number[]> {
  const found: number[] = [];
  for await (const { index } of log.read(from, to)) found.push(index);
  return found;
}

async function recordAt(log: TreeLog, index: number): Promise<PlacedRecord | undefined> {
  let found: PlacedRecord | undefined;
  for await (const record of log.read(index, index)) found = record;
  return found;
}

async function lastFile(dir: string): Promise<string> {
  const names = (await readdir(dir)).filter((name) => name.endsWith('.log')).toSorted();
  return path.join(dir, present(names.at(-1), 'a segment'));
}

describe('a log in files', () => {
  test('gives places in order, says what is durable, and reads it back', async () => {
    const log = await open(await newFolder());
    expect(log.durableIndex).toBe(0);
    await fill(log, 1, 100);
    expect(log.durableIndex).toBe(100);
    expect(await indexes(log, 40, 43)).toEqual([40, 41, 42, 43]);
    expect(await recordAt(log, 1)).toEqual({ ...record(1), index: 1 });
    expect(await log.close()).toBe(0);
    expect(log.append(record(1))).toMatchObject({ ok: false, error: { kind: 'closed' } });
  });

  test('is the same log after it was closed, with the same tree, whether read anew or resumed', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 10);
    const at10 = first.mark();
    await fill(first, 11, 25);
    const at25 = first.mark();
    await first.close();
    const resume = { ...at10.head, edge: at10.edge };
    for (const more of [{}, { resume }]) {
      const again = await open(dir, more);
      expect(again.mark()).toEqual(at25);
      expect(again.durableIndex).toBe(25);
      await again.close();
    }
  });

  test('goes on in a new file when one is full, and finds every record', async () => {
    const dir = await newFolder();
    const bounds = { segmentBytesMax: 2_000 };
    let log = await open(dir, { bounds });
    for (let n = 1; n <= 60; n += 5) await fill(log, n, n + 4);
    await log.close();
    const names = (await readdir(dir)).filter((name) => name.endsWith('.log'));
    expect(names.length).toBeGreaterThan(4);
    log = await open(dir, { bounds });
    expect(await indexes(log, 1, 60)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
    await fill(log, 61, 65);
    expect(await indexes(log, 59, 70)).toEqual([59, 60, 61, 62, 63, 64, 65]);
    await log.close();
  });

  test('files are for their owner alone', async () => {
    const dir = await newFolder();
    const log = await open(dir);
    await fill(log, 1, 1);
    await log.close();
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
    for (const name of await readdir(dir)) {
      expect([name, (await stat(path.join(dir, name))).mode & 0o777]).toEqual([name, 0o600]);
    }
  });
});

describe('after a crash', () => {
  test('a batch that was cut off anywhere is removed, and the log says so', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 4);
    const whole = (await readFile(await lastFile(dir))).length;
    // What the fifth record is cut off from is a log whose mark says four.
    const mark = await readFile(path.join(dir, durableName));
    await fill(first, 5, 5);
    await first.close();
    const file = await lastFile(dir);
    const bytes = await readFile(file);
    for (let cut = whole + 1; cut < bytes.length; cut += 9) {
      await writeFile(file, bytes.subarray(0, cut));
      await writeFile(path.join(dir, durableName), mark);
      const log = await open(dir);
      expect(log.mark().head.size).toBe(5);
      await log.whenDurable(5);
      expect(await recordAt(log, 5)).toMatchObject({
        kind: 'log.recovered',
        fields: { torn_bytes: cut - whole },
      });
      await log.close();
    }
  });

  test('a file that was only begun is begun again', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 4);
    await first.close();
    await writeFile(path.join(dir, '00000000000000000005.log'), 'postern-audit/1 pos');
    const log = await open(dir);
    await fill(log, 5, 6);
    expect(await indexes(log, 1, 9)).toEqual([1, 2, 3, 4, 5, 6]);
    await log.close();
  });

  test('damage below a checkpoint is reported, not repaired', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 4);
    const { head, edge } = first.mark();
    await first.close();
    const file = await lastFile(dir);
    await truncate(file, (await stat(file)).size - 10);
    const options = { dir, origin, sha256 };
    const opened = await recover({ ...options, resume: { ...head, edge } });
    expect(opened).toMatchObject({ ok: false, error: { index: 4 } });
    await rm(file);
    const gone = await recover({ ...options, resume: { ...head, edge } });
    expect(gone).toMatchObject({ ok: false, error: { index: 1 } });
  });

  test('what was durable is never taken for a batch that was cut off', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 9);
    await first.close();
    const file = await lastFile(dir);
    const bytes = await readFile(file);
    const lines = bytes.toString('latin1').split('\n');
    const without = (...gone: readonly number[]): string =>
      lines.filter((_, index) => !gone.includes(index)).join('\n');
    const flipped = Buffer.from(bytes);
    // Within the body of record 7.
    const at = bytes.indexOf('"n":7');
    flipped[at + 4] = 0x38;
    const other = await newFolder();
    const second = await open(other);
    await fill(second, 1, 8);
    expect(second.append(record(99))).toEqual({ ok: true, value: 9 });
    await second.close();
    const cases: readonly (readonly [number, string | Buffer])[] = [
      [7, flipped],
      [7, without(7)],
      [9, without(9)],
      [9, bytes.subarray(0, bytes.length - 1)],
      [1, lines[0] ?? ''],
      [1, ''],
      // A whole chain that ends in another record than the one that was written.
      [9, await readFile(await lastFile(other))],
    ];
    for (const [index, damaged] of cases) {
      await writeFile(file, damaged);
      const opened = await recover({ dir, origin, sha256, durable: await readDurableMark(dir) });
      expect(opened).toMatchObject({ ok: false, error: { index } });
      // It is evidence: nothing of it was changed.
      expect(await readFile(file)).toEqual(Buffer.from(damaged));
    }
    await writeFile(file, bytes);
    const again = await open(dir);
    expect(again.durableIndex).toBe(9);
    await again.close();
  });

  test('a mark that was not written whole says nothing, and no flip of it makes damage', async () => {
    const dir = await newFolder();
    const first = await open(dir);
    await fill(first, 1, 3);
    await first.close();
    const line = await readFile(path.join(dir, durableName));
    for (let at = 0; at < line.length; at += 1) {
      const flipped = Buffer.from(line);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      await writeFile(path.join(dir, durableName), flipped);
      const again = await open(dir);
      expect(again.durableIndex).toBe(3);
      await again.close();
    }
  });

  test('a mark reads as it was written', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (index, bytes) => {
          const mark = { index, hash: bytes };
          expect(readDurableLine(durableLine(mark))).toEqual(mark);
        },
      ),
    );
    expect(readDurableLine('')).toBeUndefined();
  });

  test('a folder of another log is refused', async () => {
    const dir = await newFolder();
    const log = await open(dir);
    await fill(log, 1, 1);
    await log.close();
    const opened = await recover({ dir, origin: 'other/log', sha256 });
    expect(opened).toMatchObject({ ok: false, error: { index: 1 } });
  });
});

describe('back-pressure', () => {
  test('records beyond the queue are refused, those of the log itself a little later', async () => {
    const log = await open(await newFolder());
    const long = { ...record(1), fields: { text: 'y'.repeat(500), more: 'y'.repeat(500) } };
    let taken = 0;
    while (log.append(long).ok) taken += 1;
    expect(taken).toBeGreaterThan(3_000);
    expect(log.append(long)).toMatchObject({ ok: false, error: { kind: 'busy' } });
    expect(log.append(record(2), 'control').ok).toBe(true);
    expect(await log.whenDurable(taken + 1)).toBe(true);
    expect(log.append(record(3)).ok).toBe(true);
    await log.close();
  });

  test('it says that the disk is behind while there is room for what is under way', async () => {
    const log = await open(await newFolder());
    const long = { ...record(1), fields: { text: 'y'.repeat(500), more: 'y'.repeat(500) } };
    let good = 0;
    while (log.health.kind === 'good' && log.append(long).ok) good += 1;
    expect(log.health).toEqual({ kind: 'slow', why: expect.stringContaining('keep up') });
    let more = 0;
    while (log.append(long).ok) more += 1;
    // Ten thousand records of half a kilobyte are what ten thousand streams leave when they end.
    expect(more * 2).toBeGreaterThan(10_000);
    expect(log.refused).toBe(1);
    expect(await log.whenDurable(good + more)).toBe(true);
    await vi.waitFor(() => expect(log.health.kind).toBe('good'));
    // What was refused is on the record, once there is room.
    const resumed = good + more + 1;
    await vi.waitFor(() => expect(log.mark().head.size).toBe(resumed));
    await log.whenDurable(resumed);
    const noted = await recordAt(log, resumed);
    expect(noted).toMatchObject({ kind: 'log.resumed', fields: { refused_records: 1 } });
    await log.close();
  });

  test('a write that does not end is told, and so is its end', async () => {
    const dir = await newFolder();
    const log = await open(dir, { bounds: { slowMs: 30 } });
    // Opening a pipe that nobody reads waits, as a disk that hangs does.
    const pipe = path.join(dir, '00000000000000000001.log');
    execFileSync('mkfifo', [pipe]);
    expect(log.append(record(1))).toEqual({ ok: true, value: 1 });
    await vi.waitFor(() => expect(log.health.kind).toBe('slow'));
    expect(log.health).toMatchObject({ why: expect.stringContaining('for seconds') });
    // What is under way is taken all the same.
    expect(log.append(record(2))).toEqual({ ok: true, value: 2 });
    expect(log.durableIndex).toBe(0);
    const reader = await openFile(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    await rm(pipe);
    await reader.close();
    expect(await log.whenDurable(2)).toBe(true);
    await vi.waitFor(() => expect(log.health.kind).toBe('good'));
    await log.close();
  });
});

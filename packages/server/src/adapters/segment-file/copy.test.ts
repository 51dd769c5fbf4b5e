import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copyLog, openAuditFolder, restoreLog } from './index.ts';

let work = '';
beforeEach(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-copy-'));
});
afterEach(() => rm(work, { recursive: true, force: true }));

async function write(dir: string, count: number): Promise<number> {
  const bounds = { segmentBytesMax: 1_000, reserveBytes: 1 };
  const opened = await openAuditFolder({ dir, nowMs: () => 1, bounds });
  if (!opened.ok) throw new Error(opened.error.what);
  const { log, checkpoint } = opened.value;
  for (let n = 0; n < count; n += 1) {
    const taken = log.append({ kind: 'test', v: 1, atMs: n, fields: { n } });
    if (taken.ok) await log.whenDurable(taken.value);
  }
  await checkpoint({ journal: undefined, witnesses: [] });
  await log.close();
  return log.durableIndex;
}

test('a restored log is whole and goes on under the same name', async () => {
  const [dir, copy, other] = ['a', 'copy', 'b'].map((name) => path.join(work, name));
  if (dir === undefined || copy === undefined || other === undefined) throw new Error('no names');
  await write(dir, 30);
  await copyLog(dir, copy);
  const restored = await restoreLog(copy, other);
  expect(restored).toMatchObject({ ok: true, value: { records: 30, uncovered: 0 } });
  expect(await write(other, 5)).toBe(35);
  expect(await restoreLog(copy, other)).toMatchObject({ ok: false });
});

test('a byte that was changed anywhere is found, and nothing is left behind', async () => {
  const [dir, copy, other] = ['a', 'copy', 'b'].map((name) => path.join(work, name));
  if (dir === undefined || copy === undefined || other === undefined) throw new Error('no names');
  await write(dir, 12);
  await copyLog(dir, copy);
  const bytes = await readFile(copy);
  for (let at = 0; at < bytes.length; at += 211) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 4;
    await writeFile(copy, changed);
    expect([at, (await restoreLog(copy, other)).ok]).toEqual([at, false]);
    expect(existsSync(other)).toBe(false);
  }
  await writeFile(copy, bytes.subarray(0, -40));
  expect((await restoreLog(copy, other)).ok).toBe(false);
});

test('checkpoints of years come back byte for byte', async () => {
  const [dir, copy, other] = ['a', 'copy', 'b'].map((name) => path.join(work, name));
  if (dir === undefined || copy === undefined || other === undefined) throw new Error('no names');
  await write(dir, 3);
  const file = path.join(dir, 'checkpoints');
  const notes = (await readFile(file)).toString();
  await writeFile(file, notes.repeat(3_000));
  await copyLog(dir, copy);
  expect(await restoreLog(copy, other)).toMatchObject({ ok: true, value: { strangeNotes: 0 } });
  expect((await readFile(path.join(other, 'checkpoints'))).equals(await readFile(file))).toBe(true);
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { present } from '@postern/core/base';
import { afterAll, expect, test } from 'vitest';
import { until } from '../e2e/process.ts';
import {
  openAuditFolder,
  readLogKey,
  verifyFolder,
} from '../../packages/server/src/adapters/segment-file/index.ts';

/** A disk of 2 MiB, where this machine lets us have one. */
const disk = mkdtempSync(path.join(tmpdir(), 'postern-full-'));
const hasDisk = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0;

afterAll(() => {
  if (hasDisk) spawnSync('umount', [disk]);
  rmSync(disk, { recursive: true, force: true });
});

const record = { kind: 'request', v: 1, atMs: 1, fields: { text: 'x'.repeat(400) } };

test.skipIf(!hasDisk)(
  'a full disk refuses records of callers, takes those of operators, loses none and heals',
  async () => {
    const dir = path.join(disk, 'audit');
    const opened = await openAuditFolder({
      dir,
      nowMs: () => 1,
      bounds: { reserveBytes: 600_000, retryMs: 20, segmentBytesMax: 300_000 },
    });
    if (!opened.ok) throw new Error(opened.error.what);
    const { log, checkpoint } = opened.value;
    log.append(record);
    await log.whenDurable(1);
    const filler = path.join(disk, 'filler');
    await writeFile(filler, Buffer.alloc(900_000));

    let taken = 1;
    while (log.health.kind === 'good') {
      for (let n = 0; n < 20; n += 1) {
        const each = log.append(record);
        if (each.ok) taken = each.value;
      }
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
    }
    expect(log.health.kind).toBe('full');
    expect(log.append(record)).toMatchObject({ ok: false, error: { kind: 'full' } });
    // What was taken before is written into the reserve, and so is what operators do.
    expect(await log.whenDurable(taken)).toBe(true);
    const control = log.append({ ...record, kind: 'control' }, 'control');
    if (!control.ok) throw new Error(control.error.why);
    expect(await log.whenDurable(control.value)).toBe(true);
    expect(log.health.kind).toBe('full');

    await rm(filler);
    await until(() => log.health.kind === 'good');
    const after = log.append(record);
    if (!after.ok) throw new Error(after.error.why);
    expect(await log.whenDurable(after.value)).toBe(true);
    await checkpoint({ journal: undefined, witnesses: [] });
    const kinds: string[] = [];
    for await (const each of log.read(control.value, after.value)) kinds.push(each.kind);
    expect(kinds).toEqual(['control', 'log.resumed', 'request']);
    expect(await log.close()).toBe(0);
    const key = present(await readLogKey(dir), 'a key');
    expect(await verifyFolder(dir, { key })).toMatchObject({ flaw: undefined, uncovered: 0 });
  },
);

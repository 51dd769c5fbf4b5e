import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openAuditFolder } from '@postern/server/adapters/segment-file';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lastIndex } from './source.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'postern-source-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('the last index is that of the last record, also where a file was only begun', async () => {
  expect(await lastIndex(dir)).toBe(0);
  const opened = await openAuditFolder({ dir, nowMs: () => 1, bounds: { reserveBytes: 1 } });
  if (!opened.ok) throw new Error(opened.error.what);
  const { log } = opened.value;
  for (let n = 0; n < 7; n += 1) log.append({ kind: 'request', v: 1, atMs: 1, fields: { n } });
  await log.close();
  expect(await lastIndex(dir)).toBe(7);
  for (const begun of ['', 'postern-audit/1 pos']) {
    await writeFile(path.join(dir, '00000000000000000008.log'), begun);
    expect([begun, await lastIndex(dir)]).toEqual([begun, 7]);
  }
});

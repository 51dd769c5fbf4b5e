import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { AuditFolder } from './folder.ts';
import { openAuditFolder } from './folder.ts';

let work = '';
beforeEach(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-folder-'));
});
afterEach(() => rm(work, { recursive: true, force: true }));

const open = (dir: string): ReturnType<typeof openAuditFolder> =>
  openAuditFolder({ dir, nowMs: () => 1, bounds: { reserveBytes: 1 } });

async function opened(dir: string): Promise<AuditFolder> {
  const folder = await open(dir);
  if (!folder.ok) throw new Error(folder.error.what);
  return folder.value;
}

test('what was signed is damage where it is gone, whatever else of the folder is gone with it', async () => {
  const whole = path.join(work, 'whole');
  const { log, checkpoint } = await opened(whole);
  for (let n = 0; n < 20; n += 1) log.append({ kind: 'request', v: 1, atMs: 1, fields: { n } });
  await checkpoint({ journal: undefined, witnesses: [] });
  await log.close();
  const segment = '00000000000000000001.log';
  const lines = (await readFile(path.join(whole, segment), 'utf8')).split('\n');
  const flipped = lines.with(15, (lines[15] ?? '').replace('"n":14', '"n":15'));
  for (const gone of [['durable'], ['resume.json'], ['durable', 'resume.json']]) {
    for (const [text, index] of [
      [`${lines.slice(0, 11).join('\n')}\n`, 11],
      [flipped.join('\n'), 15],
    ] as const) {
      const dir = path.join(work, `${gone.join('-')} ${index}`);
      await cp(whole, dir, { recursive: true });
      await writeFile(path.join(dir, segment), text);
      for (const name of gone) await rm(path.join(dir, name));
      // A resumed log is not read again below its checkpoint: that is for `verify`.
      if (index === 15 && !gone.includes('resume.json')) continue;
      expect([gone, await open(dir)]).toMatchObject([gone, { ok: false, error: { index } }]);
      expect(await readFile(path.join(dir, segment), 'utf8')).toBe(text);
    }
  }
  for (const name of ['durable', 'resume.json']) await rm(path.join(whole, name));
  const again = await opened(whole);
  expect(again.log.durableIndex).toBe(20);
  await again.log.close();
});

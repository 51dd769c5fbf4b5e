import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { present } from '@postern/core/base';
import { expect, test } from 'vitest';
import { readLogKey, verifyFolder } from '../../packages/server/src/adapters/segment-file/index.ts';
import { compiledFor } from './compiled.ts';

const writer = path.resolve(import.meta.dirname, 'audit-writer.ts');
const cycles = Number(process.env['POSTERN_KILLS'] ?? '200');
/** Long enough to be hit in recovery, in the first batch, in a rotation and in a checkpoint. */
const lifeMsMax = 120;

interface Life {
  readonly opened: number | undefined;
  readonly durable: number;
  readonly signed: number;
  readonly damaged: string | undefined;
}

/** One writer from its start to its end by SIGKILL, some time after it began to write. */
function live(dir: string, ms: number, env: NodeJS.ProcessEnv): Promise<Life> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(process.execPath, [writer, dir], { stdio: [...stdio], env });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (said === '') setTimeout(() => child.kill('SIGKILL'), ms);
    said += text;
  });
  return new Promise((resolve) => {
    child.on('close', () => {
      const last = (word: string): number | undefined => {
        const found = [...said.matchAll(new RegExp(`^${word} (\\d+)\n`, 'gm'))].at(-1)?.[1];
        return found === undefined ? undefined : Number(found);
      };
      const damaged = /^damaged .*$/m.exec(said)?.[0];
      const [opened, durable = 0, signed = 0] = [last('open'), last('durable'), last('signed')];
      resolve({ opened, durable, signed, damaged });
    });
  });
}

test(`killed ${cycles} times while it writes, the log has every acknowledged record and verifies`, async () => {
  const work = await mkdtemp(path.join(tmpdir(), 'postern-kill-'));
  const dir = path.join(work, 'audit');
  const env = await compiledFor(writer);
  let acknowledged = 0;
  let signed = 0;
  let kills = 0;
  try {
    for (let cycle = 0; cycle < cycles; cycle += 1) {
      // Spread over the whole life, the same in every run.
      const life = await live(dir, (cycle * 37) % lifeMsMax, env);
      expect([cycle, life.damaged]).toEqual([cycle, undefined]);
      expect(life.opened ?? 0).toBeGreaterThanOrEqual(acknowledged);
      acknowledged = Math.max(acknowledged, life.durable);
      signed = Math.max(signed, life.signed);
      kills += 1;
      if (cycle % 10 !== 9 && cycle !== cycles - 1) continue;
      const key = present(await readLogKey(dir), 'a key');
      const verdict = await verifyFolder(dir, { key, against: [`${dir}.witness`] });
      expect([cycle, verdict.flaw]).toEqual([cycle, undefined]);
      expect(verdict.records).toBeGreaterThanOrEqual(acknowledged);
      expect(verdict.agreed?.size ?? 0).toBeGreaterThanOrEqual(signed);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  expect(kills).toBe(cycles);
  expect(acknowledged).toBeGreaterThan(cycles);
});

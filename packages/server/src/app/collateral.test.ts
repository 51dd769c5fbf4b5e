import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { refuse } from '@postern/core/errors';
import { expect, test } from 'vitest';
import type { Egress } from '../http/index.ts';
import { createLogger } from '../observe/index.ts';
import { keepCollateral } from './collateral.ts';
import { collateralFolder } from './settings.ts';

const refusing: Egress = () => Promise.resolve(refuse('egress_refused', 'no way out here'));

async function lookedAt(
  prepare: (folder: string) => Promise<void>,
): Promise<{ lines: string[]; calls: number }> {
  const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-collateral-'));
  const lines: string[] = [];
  let calls = 0;
  const logger = createLogger({
    level: 'debug',
    format: 'json',
    write: (line) => lines.push(line),
  });
  await prepare(collateralFolder(stateDir, 'intel'));
  const keeper = keepCollateral({
    stateDir,
    logger,
    nowMs: () => 1_700_000_000_000,
    everyMs: 20,
    egress: (request) => {
      calls += 1;
      return refusing(request);
    },
  });
  await new Promise((resolve) => {
    setTimeout(resolve, 600);
  });
  keeper.close();
  await rm(stateDir, { recursive: true });
  return { lines, calls };
}

test('a Postern without collateral asks nobody and says nothing', async () => {
  expect(await lookedAt(() => Promise.resolve())).toEqual({ lines: [], calls: 0 });
});

test('a file that is no collateral neither stops the keeper nor leads to a request', async () => {
  const { calls } = await lookedAt(async (folder) => {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(path.join(folder, 'junk.json'), 'not collateral', { mode: 0o600 });
  });
  expect(calls).toBe(0);
});

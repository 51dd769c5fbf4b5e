import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { refuse } from '@postern/core/errors';
import type { Egress } from '../../http/index.ts';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretReader } from './index.ts';

let folder = '';
let now = 0;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'postern-secret-'));
});
afterAll(() => rm(folder, { recursive: true }));
const surroundings = (env: Record<string, string>, egress: Egress = noWayOut) => ({
  env,
  nowMs: () => now,
  egress,
});
const noWayOut: Egress = () => Promise.resolve(refuse('egress_refused', 'these secrets are local'));

async function text(reader: ReturnType<typeof secretReader>): Promise<string> {
  const read = await reader();
  return read.ok ? read.value.reveal() : `refused: ${read.error.message}`;
}

test('an environment variable is a secret, a missing one is said by name', async () => {
  expect(await text(secretReader({ env: 'KEY' }, surroundings({ KEY: 'sk-1' })))).toBe('sk-1');
  expect(await text(secretReader({ env: 'NOPE' }, surroundings({})))).toMatch(/NOPE is not set/);
});

test('a rotated file counts without a restart; one trailing newline does not', async () => {
  const file = path.join(folder, 'key');
  await writeFile(file, 'one\n');
  const reader = secretReader({ file }, surroundings({}));
  expect(await text(reader)).toBe('one');
  await writeFile(file, 'two\n');
  await utimes(file, 5, 5);
  expect(await text(reader)).toBe('one');
  now += 1_000;
  expect(await text(reader)).toBe('two');
});

test('a missing, empty or giant file is refused with its name', async () => {
  await writeFile(path.join(folder, 'empty'), '\n');
  await writeFile(path.join(folder, 'giant'), 'x'.repeat(70_000));
  expect(await text(secretReader({ file: path.join(folder, 'none') }, surroundings({})))).toMatch(
    /ENOENT/,
  );
  expect(await text(secretReader({ file: path.join(folder, 'empty') }, surroundings({})))).toMatch(
    /is empty/,
  );
  expect(await text(secretReader({ file: path.join(folder, 'giant') }, surroundings({})))).toMatch(
    /larger than/,
  );
});

test('a systemd credential is read from the folder that systemd names', async () => {
  await writeFile(path.join(folder, 'api'), 'cred');
  expect(
    await text(
      secretReader({ credential: 'api' }, surroundings({ CREDENTIALS_DIRECTORY: folder })),
    ),
  ).toBe('cred');
  expect(await text(secretReader({ credential: 'api' }, surroundings({})))).toMatch(
    /systemd gave this process none/,
  );
});

test('a secret does not print', async () => {
  const read = await secretReader({ env: 'KEY' }, surroundings({ KEY: 'sk-canary' }))();
  if (!read.ok) throw new Error('expected a secret');
  const util = await import('node:util');
  const shown = [
    String(read.value),
    JSON.stringify({ key: read.value }),
    util.inspect(read.value),
    util.inspect({ deep: [read.value] }),
    util.format('%s %o %j', read.value, read.value, read.value),
  ];
  expect(shown.join(' ')).not.toContain('canary');
});

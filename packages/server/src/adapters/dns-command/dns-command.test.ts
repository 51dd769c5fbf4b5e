import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { createDnsCommand } from './index.ts';

const record = { name: '_acme-challenge.a.example.com', value: '-x; $(id) "y"' };

test('the program gets name and value as its last words, and an environment of its own', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'dns-command-'));
  const file = path.join(folder, 'said');
  const script = `require('fs').writeFileSync(${JSON.stringify(file)}, JSON.stringify([process.argv.slice(1), Object.keys(process.env)]))`;
  const env = { PATH: process.env['PATH'], HOME: '/', SECRET: 's' };
  const put = createDnsCommand({ command: [process.execPath, '-e', script, '--'], env });
  expect(await put(record)).toEqual({ ok: true, value: undefined });
  const [words, names] = JSON.parse(await readFile(file, 'utf8')) as [string[], string[]];
  expect(words).toEqual([record.name, record.value]);
  expect(names).not.toContain('SECRET');
  await rm(folder, { recursive: true });
});

test('a program that fails, is missing or takes too long is a sentence', async () => {
  const env = { PATH: process.env['PATH'] };
  const said = async (script: string, timeoutMs?: number): Promise<string> => {
    const command = [process.execPath, '-e', script, '--'];
    const put = createDnsCommand({
      command,
      env,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    const done = await put(record);
    return done.ok ? 'done' : done.error;
  };
  expect(await said('console.error("no\\nsuch zone"); process.exit(3)')).toBe(
    'the program failed: such zone',
  );
  expect(await said('setInterval(() => {}, 1000)', 200)).toContain('the program failed: ');
  const missing = await createDnsCommand({ command: ['/nonexistent'], env })(record);
  expect(missing.ok).toBe(false);
});

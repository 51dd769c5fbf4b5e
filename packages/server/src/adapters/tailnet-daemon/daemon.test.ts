import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Daemon } from './index.ts';
import { findTailscaledProgram, startDaemon } from './index.ts';

const isWindows = process.platform === 'win32';
let base: string;
let lines: string[];
let daemon: Daemon | undefined;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'pd-'));
  lines = [];
});
afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  rmSync(base, { recursive: true, force: true });
});

const say = (_fields: object, message: string): void => void lines.push(message);
const log = { debug: say, warn: say, error: say };
const file = (name: string): string => join(base, name);
const read = (name: string): string =>
  existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '';

/** A script in the place of tailscaled that notes how it was started. */
function program(body: string): string {
  const path = file('tailscaled');
  writeFileSync(path, `#!/bin/sh\necho "$@" >> ${file('args')}\nenv > ${file('env')}\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}
const options = (env: Record<string, string> = {}) => ({
  folder: file('d'),
  env: { PATH: process.env['PATH'], ...env },
  log,
});

async function started(body: string, env: Record<string, string> = {}): Promise<Daemon> {
  const made = await startDaemon(program(body), options(env));
  if (!made.ok) throw new Error(made.error);
  daemon = made.value;
  return made.value;
}

test('the program is found on the path of the environment, never in the current folder', () => {
  program('');
  expect(findTailscaledProgram({ PATH: `/nowhere:${base}` })).toBe(file('tailscaled'));
  expect(findTailscaledProgram({ PATH: '.:' })).not.toBe('tailscaled');
});

describe.skipIf(isWindows)('a daemon of ours', () => {
  test('runs in userspace mode on its own folder, and knows no secret of ours', async () => {
    const secrets = { OPENAI_API_KEY: 'sk-1', TS_AUTHKEY: 'tskey-1', TS_CLIENT_SECRET: 'x' };
    const { socket } = await started('exec sleep 60', { ...secrets, TS_NO_LOGS_NO_SUPPORT: '1' });
    await expect.poll(() => read('env')).toContain('TS_NO_LOGS_NO_SUPPORT=1');
    expect(read('env')).not.toMatch(/OPENAI|AUTHKEY|SECRET/);
    expect(socket).toBe(join(file('d'), 'tailscaled.sock'));
    expect(read('args')).toContain(`--tun=userspace-networking --statedir=${file('d')}`);
    expect(read('args')).toContain(`--socket=${socket}`);
  });

  test('is started again when it ends, and not after it was stopped', async () => {
    const running = await started('exit 3');
    const starts = () => read('args').split('\n').length - 1;
    await expect.poll(starts, { timeout: 5_000 }).toBeGreaterThanOrEqual(2);
    expect(lines).toContain('tailscaled ended');
    await running.stop();
    const before = starts();
    await new Promise((resolve) => {
      setTimeout(resolve, 700);
    });
    expect(starts()).toBe(before);
  });

  test('is told to end, and may tidy up', async () => {
    const polite = await started(
      `trap 'echo bye > ${file('bye')}; exit 0' TERM\necho > ${file('ready')}\nwhile :; do sleep 0.05; done`,
    );
    await expect.poll(() => read('ready')).not.toBe('');
    await polite.stop();
    expect(read('bye')).toBe('bye\n');
  });

  test('a path that is too long for a socket is refused before anything runs', async () => {
    const folder = join(base, 'x'.repeat(120));
    const made = await startDaemon('/bin/false', { ...options(), folder });
    expect(made).toMatchObject({ ok: false, error: expect.stringContaining('too long') });
  });

  test.skipIf(process.platform !== 'linux')(
    'one that outlived a killed Postern is ended first; a stranger with its number is not',
    async () => {
      const folder = file('d');
      const stranger = spawn('sleep', ['60']);
      const former = spawn(program('sleep 60'), [`--statedir=${folder}`]);
      const ended = new Promise((resolve) => {
        former.once('exit', resolve);
      });
      await expect.poll(() => read('args')).toContain('--statedir');
      await started('exec sleep 60');
      await daemon?.stop();
      writeFileSync(join(folder, 'pid'), String(stranger.pid));
      await started('exec sleep 60');
      expect(stranger.exitCode).toBeNull();
      await daemon?.stop();
      writeFileSync(join(folder, 'pid'), String(former.pid));
      await started('exec sleep 60');
      await ended;
      stranger.kill('SIGKILL');
    },
  );
});

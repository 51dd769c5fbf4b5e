import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { findAnyTailscaled, findTailscaled } from './tailscaled.ts';

let proc: string;
const network = 'net:[4026531840]';

beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'postern-proc-'));
  addProcess('self', {});
  writeFileSync(join(proc, 'self/mountinfo'), '22 27 0:21 / /proc rw,relatime - proc proc rw\n');
  addProcess('1', { name: 'systemd', uid: 0 });
  addProcess('42', { name: 'node' });
});
afterEach(() => {
  rmSync(proc, { recursive: true });
});

interface Fake {
  readonly name?: string;
  readonly uid?: number;
  readonly network?: string;
  readonly command?: string;
  readonly exe?: string;
}

function addProcess(pid: string, fake: Fake): void {
  const folder = join(proc, pid);
  mkdirSync(join(folder, 'ns'), { recursive: true });
  const uid = fake.uid ?? 1_000;
  writeFileSync(
    join(folder, 'status'),
    `Name:\t${fake.name ?? 'x'}\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n`,
  );
  writeFileSync(join(folder, 'cmdline'), `${fake.command ?? '/bin/x'}\0--flag\0`);
  symlinkSync(fake.network ?? network, join(folder, 'ns/net'));
  symlinkSync(fake.exe ?? '/bin/x', join(folder, 'exe'));
}

const look = () => findTailscaled(proc, 1_000);

describe('a tailscaled', () => {
  test('is absent where there is none', async () => {
    expect(await look()).toEqual({ found: false });
  });

  test.each<readonly [string, Fake]>([
    ['its name', { name: 'tailscaled' }],
    ['its command line', { name: 'sd', command: '/opt/ts/tailscaled' }],
    [
      'its file, also when that was replaced',
      { name: 'sd', exe: '/usr/sbin/tailscaled (deleted)' },
    ],
  ])('of our user in our network is found by %s', async (_name, fake) => {
    addProcess('7', fake);
    expect(await look()).toEqual({ found: true });
  });

  test('of another user, or in another network namespace, does not count', async () => {
    addProcess('7', { name: 'tailscaled', uid: 0 });
    addProcess('8', { name: 'tailscaled', network: 'net:[4026532999]' });
    expect(await look()).toEqual({ found: false });
  });

  test('is found by any of its user ids', async () => {
    addProcess('7', { name: 'tailscaled' });
    writeFileSync(join(proc, '7/status'), 'Name:\ttailscaled\nUid:\t0\t0\t1000\t0\n');
    expect((await look()).found).toBe(true);
  });

  test('that cannot be looked at counts', async () => {
    addProcess('7', { name: 'tailscaled' });
    rmSync(join(proc, '7/ns/net'));
    writeFileSync(join(proc, '7/ns/net'), '');
    expect(await look()).toEqual({ found: false, unknown: 'process 7 cannot be looked at' });
  });

  test('may hide behind a status that cannot be read, a hidden or a missing process table', async () => {
    mkdirSync(join(proc, '7/status'), { recursive: true });
    expect((await look()).unknown).toContain('process 7');
    rmSync(join(proc, '7'), { recursive: true });
    writeFileSync(
      join(proc, 'self/mountinfo'),
      '22 27 0:21 / /proc rw - proc proc rw,hidepid=invisible\n',
    );
    expect((await look()).unknown).toContain('hidepid');
    expect((await findTailscaled(join(proc, 'none'), 1_000)).unknown).toContain('cannot be read');
  });

  test('that ended while we looked is gone', async () => {
    mkdirSync(join(proc, '7'));
    expect(await look()).toEqual({ found: false });
  });

  test('is found among three hundred processes', async () => {
    for (let i = 100; i < 400; i += 1) addProcess(String(i), { name: 'worker' });
    addProcess('1100', { name: 'tailscaled' });
    expect(await look()).toEqual({ found: true });
  });
});

describe('outside Linux', () => {
  const named = (...names: string[]) => findAnyTailscaled(() => Promise.resolve(names));
  test('any tailscaled counts, whoever runs it', async () => {
    expect(await named('/sbin/launchd', '/usr/local/bin/tailscaled')).toEqual({ found: true });
    expect(await named('System', 'Tailscaled.exe')).toEqual({ found: true });
    expect(await named('/sbin/launchd', 'node')).toEqual({ found: false });
  });
  test('a list that cannot be had counts', async () => {
    expect((await named()).unknown).toContain('empty');
    expect((await findAnyTailscaled(() => Promise.reject(new Error('no ps')))).unknown).toContain(
      'cannot be read',
    );
  });
});

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { createServiceManager, inheritedSockets, systemdNotify } from './index.ts';

describe('inherited sockets', () => {
  test('are those that were meant for this process, by their names', () => {
    const env = { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'gateway:admin' };
    expect(inheritedSockets(env, 7)).toEqual([
      { name: 'gateway', fd: 3 },
      { name: 'admin', fd: 4 },
    ]);
  });

  test('of another process, of nobody and of no sense are none', () => {
    expect(inheritedSockets({ LISTEN_PID: '8', LISTEN_FDS: '1' }, 7)).toEqual([]);
    expect(inheritedSockets({ LISTEN_FDS: '1' }, 7)).toEqual([]);
    for (const count of ['', '0', '-1', '1e3', '999', 'x'])
      expect(inheritedSockets({ LISTEN_PID: '7', LISTEN_FDS: count }, 7)).toEqual([]);
  });

  test('without a name is the gateway’s', () => {
    expect(inheritedSockets({ LISTEN_PID: '7', LISTEN_FDS: '1' }, 7)).toEqual([
      { name: 'gateway', fd: 3 },
    ]);
  });
});

function manager(env: Record<string, string>, isAlive = () => true) {
  const told: string[] = [];
  const timers: { ms: number; callback: () => void; cleared: boolean }[] = [];
  const made = createServiceManager({
    env,
    pid: 7,
    isAlive,
    tell: (lines) => told.push(lines.join(' ')),
    every: (ms, callback) => {
      const timer = { ms, callback, cleared: false };
      timers.push(timer);
      return {
        clear: () => {
          timer.cleared = true;
        },
      };
    },
    monotonicUs: () => 12n,
  });
  return { made, told, timers };
}

describe('the service manager', () => {
  test('is nobody where nobody listens', () => {
    expect(manager({ WATCHDOG_USEC: '1000000' }).made).toBeUndefined();
  });

  test('hears of readiness, reload and stop, a line each', () => {
    const { made, told } = manager({ NOTIFY_SOCKET: '/run/x' });
    made?.ready('2 listeners\nready');
    made?.reloading();
    made?.stopping('draining');
    expect(told).toEqual([
      'READY=1 STATUS=2 listeners ready',
      'RELOADING=1 MONOTONIC_USEC=12',
      'STOPPING=1 STATUS=draining',
    ]);
  });

  test('gets a sign of life every half period, while the process is well and not stopping', () => {
    let isAlive = true;
    const { made, told, timers } = manager(
      { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' },
      () => isAlive,
    );
    expect(timers.map(({ ms }) => ms)).toEqual([15_000]);
    timers[0]?.callback();
    isAlive = false;
    timers[0]?.callback();
    expect(told).toEqual(['WATCHDOG=1']);
    made?.stopping('bye');
    expect(timers[0]?.cleared).toBe(true);
  });

  test('gets no signs of life that were meant for another process', () => {
    const env = { NOTIFY_SOCKET: '/run/x', WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' };
    expect(manager(env).timers).toEqual([]);
  });
});

const hasTools =
  spawnSync('systemd-notify', ['--version']).status === 0 &&
  spawnSync('python3', ['--version']).status === 0;

test.skipIf(!hasTools)(
  'systemd-notify brings the lines to the socket (simulated: the manager is a script)',
  { timeout: 120_000 },
  async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'postern-notify-'));
    const socket = path.join(folder, 'notify');
    const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); s.settimeout(15); print('bound', flush=True)
print(s.recv(4096).decode(), flush=True)`;
    const fake = spawn('python3', ['-c', script, socket]);
    let said = '';
    fake.stdout.on('data', (piece: Buffer) => {
      said += piece.toString();
    });
    const before = process.env['NOTIFY_SOCKET'];
    try {
      await expect.poll(() => said, { timeout: 10_000 }).toContain('bound');
      process.env['NOTIFY_SOCKET'] = socket;
      const problems: string[] = [];
      systemdNotify((message) => problems.push(message))(['READY=1', 'STATUS=up']);
      await expect.poll(() => said, { timeout: 10_000 }).toContain('READY=1\nSTATUS=up');
    } finally {
      if (before === undefined) delete process.env['NOTIFY_SOCKET'];
      else process.env['NOTIFY_SOCKET'] = before;
      fake.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    }
  },
);

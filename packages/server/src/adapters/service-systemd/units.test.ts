import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Secret } from '@postern/core/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeManager, startFakeManager } from '../../../../../test/fakes/systemd-manager.ts';
import { decodeReply, encodeCall, messageLength } from './bus-message.ts';
import { createUnitRestarter, createUnitRotator } from './units.ts';

const signal = AbortSignal.timeout(20_000);
const uid = process.getuid?.() ?? 0;

describe('the manager of units (simulated behind its socket)', () => {
  let manager: FakeManager;
  let folder: string;
  beforeEach(async () => {
    manager = await startFakeManager();
    folder = await mkdtemp(path.join(tmpdir(), 'postern-unit-'));
  });
  afterEach(async () => {
    await manager.close();
    await rm(folder, { recursive: true, force: true });
  });
  const place = () => ({ socket: manager.socket, uid });

  test('starts a unit anew, which shows by its process and start time', async () => {
    const restarter = createUnitRestarter(place(), 'vllm.service');
    const before = await restarter.startMark(signal);
    expect(before).toEqual({ ok: true, value: 'pid 100, started at 1000000 µs' });
    expect(await restarter.restart(signal)).toMatchObject({ ok: true });
    expect(await restarter.startMark(signal)).toEqual({
      ok: true,
      value: 'pid 101, started at 6000000 µs',
    });
    expect(manager.calls).toContain('RestartUnit vllm.service replace');
    expect(manager.calls).toContain('Get org.freedesktop.systemd1.Service MainPID');
  });

  test('a unit that does not run has no start mark', async () => {
    manager.state = 'failed';
    expect(await createUnitRestarter(place(), 'vllm.service').startMark(signal)).toEqual({
      ok: false,
      error: 'vllm.service is failed',
    });
  });

  test('a rotation writes the key for its owner alone, before the unit is started anew', async () => {
    const file = path.join(folder, 'key');
    let seen = '';
    manager.onRestart = async () => {
      seen = await readFile(file, 'utf8');
    };
    const rotator = createUnitRotator(place(), 'vllm.service', file);
    expect(await rotator.rotate(new Secret('fresh'), signal)).toMatchObject({ ok: true });
    expect(seen).toBe('fresh\n');
  });

  test('a rotation that could not restart leaves the old key in place', async () => {
    const file = path.join(folder, 'key');
    await writeFile(file, 'old\n');
    await manager.close();
    const done = await createUnitRotator(place(), 'x.service', file).rotate(
      new Secret('n'),
      signal,
    );
    expect(done.ok).toBe(false);
    expect(await readFile(file, 'utf8')).toBe('old\n');
    manager = await startFakeManager();
  });

  test('no socket is a sentence', async () => {
    const lost = createUnitRestarter({ socket: path.join(folder, 'none'), uid }, 'x.service');
    expect(await lost.restart(signal)).toMatchObject({ ok: false });
  });
});

const daemon = ['/usr/bin/dbus-daemon', '/bin/dbus-daemon'].find((file) => existsSync(file));

describe.skipIf(daemon === undefined)('a real dbus-daemon (skipped where there is none)', () => {
  test('understands our calls, and we its answers and errors', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'postern-dbus-'));
    const socket = path.join(folder, 'bus');
    const child = spawn(daemon ?? '', [
      '--session',
      '--nofork',
      '--nopidfile',
      `--address=unix:path=${socket}`,
    ]);
    try {
      for (let tries = 0; tries < 200 && !existsSync(socket); tries += 1)
        await new Promise((resolve) => setTimeout(resolve, 20));
      // The daemon knows no such service, and says so by name: the call, its arguments and the error crossed a real bus.
      const lost = await createUnitRestarter({ socket, uid }, 'x.service').restart(signal);
      expect(lost.ok ? '' : lost.error).toMatch(/^org\.freedesktop\.DBus\.Error\./);
      expect(await ask(socket, 'NameHasOwner', ['org.freedesktop.DBus'])).toBe(true);
      expect(await ask(socket, 'GetNameOwner', ['org.freedesktop.DBus'])).toBe(
        'org.freedesktop.DBus',
      );
    } finally {
      child.kill();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

async function ask(socket: string, member: string, args: readonly string[]): Promise<unknown> {
  const connection = net.connect(socket);
  const call = (serial: number, name: string, list: readonly string[]) =>
    encodeCall({
      serial,
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: name,
      args: list,
    });
  let bytes = Buffer.alloc(0);
  return new Promise((resolve) => {
    let isBegun = false;
    connection.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isBegun) {
        bytes = Buffer.alloc(0);
        isBegun = true;
        connection.write('BEGIN\r\n');
        connection.write(call(1, 'Hello', []));
        connection.write(call(2, member, args));
        return;
      }
      for (let length = messageLength(bytes); length !== undefined && bytes.length >= length; ) {
        const reply = decodeReply(bytes.subarray(0, length));
        bytes = bytes.subarray(length);
        if (reply?.replySerial === 2) {
          connection.destroy();
          resolve(reply.value);
        }
        length = messageLength(bytes);
      }
    });
    connection.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
  });
}

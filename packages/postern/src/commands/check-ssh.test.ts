/** Simulated: stand-ins for ssh and ssh-keygen answer as OpenSSH 9 does. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterEach, describe, expect, test } from 'vitest';
import { isSshHost, lookBySsh } from './check-ssh.ts';

const before = process.env['PATH'];
let bin = '';
afterEach(() => {
  process.env['PATH'] = before;
  rmSync(bin, { recursive: true, force: true });
});

function stubs(ssh: string, keygen: string): void {
  bin = mkdtempSync(path.join(tmpdir(), 'postern-ssh-'));
  for (const [name, body] of [
    ['ssh', ssh],
    ['ssh-keygen', keygen],
  ] as const) {
    writeFileSync(path.join(bin, name), `#!/bin/sh\n${body}\n`);
    chmodSync(path.join(bin, name), 0o755);
  }
  process.env['PATH'] = `${bin}:${before ?? ''}`;
}

const offering = (methods: string, login: number): string =>
  `case "$*" in *PreferredAuthentications=none*) echo "debug1: Authentications that can continue: ${methods}" >&2; exit 255;; *) exit ${login};; esac`;

describe.skipIf(process.platform === 'win32')('a machine looked at by SSH', () => {
  test('is known, takes our key, and offers nothing else', async () => {
    stubs(
      offering('publickey', 0),
      'echo "# Host frank found: line 3"; echo "frank ssh-ed25519 AAAA"',
    );
    expect(await lookBySsh('me@frank')).toEqual({
      host: 'frank',
      pinned: true,
      logs_in: true,
      offers: ['publickey'],
    });
  });

  test('may take passwords, be unknown, and refuse us', async () => {
    stubs(offering('publickey,password,keyboard-interactive', 255), 'exit 1');
    expect(await lookBySsh('frank')).toEqual({
      host: 'frank',
      pinned: false,
      logs_in: false,
      offers: ['publickey', 'password', 'keyboard-interactive'],
    });
  });

  test('may not answer at all', async () => {
    stubs(
      'echo "ssh: connect to host frank port 22: Connection timed out" >&2; exit 255',
      'exit 1',
    );
    expect(await lookBySsh('frank')).toMatchObject({ logs_in: false, offers: [] });
  });

  test.each(['-oProxyCommand=x', 'a b', '', 'me@', '@frank', 'frank;id'])(
    '%j is no name',
    (text) => {
      expect(isSshHost(text)).toBe(false);
    },
  );

  test.each(['frank', 'me@frank', 'frank.tailnet.ts.net', '100.64.0.7', 'fd7a::7'])(
    '%s is one',
    (text) => {
      expect(isSshHost(text)).toBe(true);
    },
  );
});

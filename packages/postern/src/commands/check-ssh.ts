import { execFile } from 'node:child_process';
import type { JsonObject } from '@postern/core/base';

const waitSeconds = 5;
const common = [
  '-o',
  'BatchMode=yes',
  '-o',
  `ConnectTimeout=${waitSeconds}`,
  '-o',
  'StrictHostKeyChecking=yes',
  '-o',
  'NumberOfPasswordPrompts=0',
];

/** `user@host` or `host`, as ssh takes it; nothing that ssh would take for an option. */
const hostPattern = /^(?:[A-Za-z0-9_][\w.-]*@)?[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$/;

export function isSshHost(text: string): boolean {
  return hostPattern.test(text);
}

/** How a machine looks by SSH to whoever types this: with their keys, their pinned host keys and their `ssh` settings. */
export async function lookBySsh(target: string): Promise<JsonObject> {
  const host = target.split('@').at(-1) ?? target;
  const [known, login, offered] = await Promise.all([
    ran('ssh-keygen', ['-F', host]),
    ran('ssh', [...common, '--', target, 'exit']),
    // No key is offered, and a host key that nobody knows does not matter: nothing is sent.
    ran('ssh', [
      '-v',
      '-o',
      'BatchMode=yes',
      '-o',
      `ConnectTimeout=${waitSeconds}`,
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'PubkeyAuthentication=no',
      '-o',
      'PreferredAuthentications=none',
      '--',
      target,
      'exit',
    ]),
  ]);
  const methods = /Authentications that can continue: (?<list>[a-z0-9,@.-]+)/i.exec(offered.err);
  return {
    host,
    pinned: known.code === 0 && known.out !== '',
    logs_in: login.code === 0,
    offers: (methods?.groups?.['list'] ?? '').split(',').filter((each) => each !== ''),
  };
}

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function ran(program: string, words: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    const limits = { timeout: 4 * waitSeconds * 1_000, maxBuffer: 1_000_000, windowsHide: true };
    execFile(program, words, limits, (fault, out, err) => {
      const code = fault === null ? 0 : typeof fault.code === 'number' ? fault.code : 1;
      resolve({ code, out, err });
    });
  });
}

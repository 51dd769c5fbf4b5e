import { execFile } from 'node:child_process';
import process from 'node:process';
import { err, messageOf, ok } from '@postern/core/base';
import type { Known } from '../../ops/index.ts';

const answerMsMax = 3_000;
const outputBytesMax = 65_536;

/** A line for each address, or the fault on the other stream. */
const program = `
require('node:dns').lookup(process.argv[1], { all: true }, (fault, found) => {
  if (fault !== null) {
    console.error(fault.message);
    process.exitCode = 1;
  } else for (const { address } of found) console.log(address);
});`;

/**
 * The addresses that this machine's own resolver has for a name: /etc/hosts, nsswitch and the rest of it. It is asked by a process of
 * its own: the C library's `getaddrinfo` cannot be called off, waits 10 s for servers that say nothing, and the one who asked could not
 * end before.
 */
export function resolveHere(host: string, msMax = answerMsMax): Promise<Known<readonly string[]>> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const options = {
    env,
    timeout: msMax,
    killSignal: 'SIGKILL',
    maxBuffer: outputBytesMax,
    windowsHide: true,
  } as const;
  return new Promise((resolve) => {
    execFile(process.execPath, ['-e', program, '--', host], options, (fault, stdout, stderr) => {
      if (fault === null) return resolve(ok(stdout.split('\n').filter((line) => line !== '')));
      if (fault.killed === true) return resolve(err('no answer of the resolver'));
      resolve(err(stderr.trim() === '' ? messageOf(fault) : stderr.trim()));
    });
  });
}

import { execFile } from 'node:child_process';
import { assert, err, ok } from '@postern/core/base';
import type { Waker } from '../../gateway/index.ts';

export interface CommandWakerOptions {
  /** The program and its arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

const passedOn = ['PATH', 'HOME', 'LANG'] as const;
/** What a program may print before it is ended: nobody reads it. */
const outputBytesMax = 65_536;
const lineCharsMax = 200;

export function createCommandWaker({ command, env }: CommandWakerOptions): Waker {
  const [program, ...args] = command;
  assert(program !== undefined, 'a command names a program');
  const own = Object.fromEntries(
    passedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  return {
    wake: (signal) =>
      new Promise((resolve) => {
        const options = { env: own, signal, maxBuffer: outputBytesMax, windowsHide: true };
        execFile(program, args, options, (fault, _stdout, stderr) => {
          if (fault === null) resolve(ok(undefined));
          else resolve(err(`the wake command failed: ${lastLine(stderr) || fault.message}`));
        });
      }),
  };
}

function lastLine(text: string): string {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  return line.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, lineCharsMax);
}

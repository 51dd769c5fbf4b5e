import { execFile } from 'node:child_process';
import { assert, err, ok } from '@postern/core/base';
import type { PutTxtRecord } from '../../coordination/index.ts';

export interface DnsCommandOptions {
  /** The program and its first arguments. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

const passedOn = ['PATH', 'HOME', 'LANG'] as const;
/** Clients wait for minutes; a record that cannot be seen after this long is not coming. */
const timeoutMsDefault = 120_000;
/** What a program may print before it is ended: nobody reads it. */
const outputBytesMax = 65_536;
const lineCharsMax = 200;

export function createDnsCommand(options: DnsCommandOptions): PutTxtRecord {
  const { command, env, timeoutMs = timeoutMsDefault } = options;
  const [program, ...first] = command;
  assert(program !== undefined, 'a command names a program');
  const own = Object.fromEntries(
    passedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])),
  );
  return ({ name, value }) =>
    new Promise((resolve) => {
      const limits = { timeout: timeoutMs, maxBuffer: outputBytesMax, windowsHide: true };
      execFile(program, [...first, name, value], { env: own, ...limits }, (fault, _out, errors) => {
        if (fault === null) resolve(ok(undefined));
        else resolve(err(`the program failed: ${lastLine(errors) || fault.message}`));
      });
    });
}

function lastLine(text: string): string {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  return line.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, lineCharsMax);
}

import { execFile } from 'node:child_process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Restarter, Rotator } from '../../ops/index.ts';

type Env = Readonly<Record<string, string | undefined>>;
const passedOn = ['PATH', 'HOME', 'LANG'] as const;
const outputBytesMax = 65_536;
const lineCharsMax = 200;

export interface RestartProgram {
  readonly command: readonly string[];
  /** Prints what changes with every start. */
  readonly status: readonly string[];
  readonly env: Env;
}

export function createCommandRestarter({ command, status, env }: RestartProgram): Restarter {
  return {
    place: `the program ${command[0] ?? ''}`,
    startMark: async (signal) => {
      const said = await run(status, { env, signal });
      if (!said.ok) return said;
      const line = said.value.trim().split('\n', 1)[0] ?? '';
      return line === ''
        ? err('the status program prints nothing')
        : ok(line.slice(0, lineCharsMax));
    },
    restart: async (signal) => {
      const done = await run(command, { env, signal });
      return done.ok ? ok(undefined) : done;
    },
  };
}

/** The key goes over standard input: arguments and variables are shown to every program of the machine. */
export function createCommandRotator(command: readonly string[], env: Env): Rotator {
  return {
    place: `the program ${command[0] ?? ''}`,
    rotate: async (next, signal) => {
      const done = await run(command, { env, signal, input: `${next.reveal()}\n` });
      return done.ok ? ok(undefined) : done;
    },
  };
}

function run(
  [program = '', ...args]: readonly string[],
  given: { readonly env: Env; readonly signal: AbortSignal; readonly input?: string },
): Promise<Result<string, string>> {
  const env = Object.fromEntries(
    passedOn.flatMap((name) => (given.env[name] === undefined ? [] : [[name, given.env[name]]])),
  );
  return new Promise((resolve) => {
    const options = { env, signal: given.signal, maxBuffer: outputBytesMax, windowsHide: true };
    const child = execFile(program, args, options, (fault, stdout, stderr) => {
      if (fault === null) resolve(ok(stdout));
      else resolve(err(`${program} failed: ${lastLine(stderr) || fault.message}`));
    });
    // A program that ends before it reads says so by its exit code.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(given.input ?? '');
  });
}

function lastLine(text: string): string {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  return line.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, lineCharsMax);
}

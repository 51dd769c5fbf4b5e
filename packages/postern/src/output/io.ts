import process from 'node:process';

/** Where a command writes: the answer to stdout, the rest to stderr. */
export interface Io {
  out(text: string): void;
  err(text: string): void;
  /** `--json`: the answer is one JSON value and nothing else. */
  readonly json: boolean;
  readonly isTerminal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: { readonly state?: string; readonly config?: string };
}

export function processIo(options: { json: boolean; state?: string; config?: string }): Io {
  return {
    out: (text) => {
      process.stdout.write(`${text}\n`);
    },
    err: (text) => {
      process.stderr.write(`${text}\n`);
    },
    json: options.json,
    isTerminal: process.stdout.isTTY,
    env: process.env,
    flags: {
      ...(options.state === undefined ? {} : { state: options.state }),
      ...(options.config === undefined ? {} : { config: options.config }),
    },
  };
}

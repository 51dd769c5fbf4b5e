import process from 'node:process';
import { legible, legibleJson } from './printable.ts';

/** Where a command writes: the answer to stdout, the rest to stderr. What others wrote cannot steer the terminal. */
export interface Io {
  /** A line, or a table, for people. */
  out(text: string): void;
  /** One JSON value on a line: the whole answer under `--json`. */
  outJson(value: unknown): void;
  /** A piece of a model's answer, without a line end. Raw where no terminal reads it. */
  piece(text: string): void;
  err(text: string): void;
  /** Standard input to its end; undefined where a person sits there, or where it is longer than `bytesMax`. */
  input(bytesMax: number): Promise<string | undefined>;
  /** `--json`: the answer is one JSON value and nothing else. */
  readonly json: boolean;
  readonly isTerminal: boolean;
  /** A person can answer questions. */
  readonly isInteractive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: { readonly state?: string; readonly config?: string };
}

export interface IoFlags {
  readonly json?: boolean;
  readonly state?: string;
  readonly config?: string;
}

/** The process around a command, as far as it reads and writes. */
export interface Terminal {
  readonly writeOut: (text: string) => void;
  readonly writeErr: (text: string) => void;
  readonly readInput: (bytesMax: number) => Promise<string | undefined>;
  readonly isTerminal: boolean;
  readonly isInteractive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export function createIo(terminal: Terminal, flags: IoFlags): Io {
  const { json = false, ...folders } = flags;
  const { writeOut, writeErr, isTerminal } = terminal;
  return {
    out: (text) => writeOut(`${legible(text)}\n`),
    outJson: (value) => writeOut(`${legibleJson(value)}\n`),
    piece: (text) => writeOut(isTerminal ? legible(text) : text),
    err: (text) => writeErr(`${legible(text)}\n`),
    input: terminal.readInput,
    json,
    isTerminal,
    isInteractive: terminal.isInteractive,
    env: terminal.env,
    flags: folders,
  };
}

export function processTerminal(): Terminal {
  // A reader that has had enough (`postern models | head -1`) is no failure.
  process.stdout.on('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EPIPE') throw cause;
  });
  return {
    writeOut: (text) => {
      process.stdout.write(text);
    },
    writeErr: (text) => {
      process.stderr.write(text);
    },
    readInput,
    isTerminal: process.stdout.isTTY,
    isInteractive: process.stdout.isTTY && process.stdin.isTTY,
    env: process.env,
  };
}

async function readInput(bytesMax: number): Promise<string | undefined> {
  if (process.stdin.isTTY) return undefined;
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of process.stdin) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > bytesMax) return undefined;
    pieces.push(bytes);
  }
  return Buffer.concat(pieces).toString('utf8');
}

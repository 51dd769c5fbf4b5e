import type { Io } from './output/io.ts';

/** What a command ends with. Pinned: scripts depend on them. */
export const exitCodes = Object.freeze({
  ok: 0,
  /** The answer is no, or the operation failed. */
  failed: 1,
  /** The command line itself is wrong. */
  usage: 2,
  /** No running Postern could be reached. */
  unreachable: 3,
  /** The configuration is invalid. */
  config: 4,
  /** It could not be looked at, or its proof could not be had: neither yes nor no. */
  unproven: 5,
});

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Invocation {
  readonly args: Readonly<Record<string, string | undefined>>;
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
  readonly io: Io;
}

export type Run = (invocation: Invocation) => Promise<ExitCode>;

export interface ArgumentSpec {
  readonly name: string;
  readonly required: boolean;
  readonly description: string;
}

export interface OptionSpec {
  /** As commander reads them: `--models <globs>`. */
  readonly flags: string;
  readonly description: string;
}

/**
 * A command as a value: help, the reference page and the parser are made from it. What it does is loaded only when it
 * runs, so that `--help` stays quick.
 */
export interface CommandSpec {
  /** `key create`, `network key create`: nouns, then a verb. */
  readonly path: string;
  readonly summary: string;
  readonly args?: readonly ArgumentSpec[];
  readonly options?: readonly OptionSpec[];
  readonly examples: readonly string[];
  readonly load: () => Promise<{ readonly run: Run }>;
}

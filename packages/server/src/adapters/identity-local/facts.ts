import { readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';
import type { OperatorFacts } from '@postern/core/identity';
import { findAnyTailscaled, findTailscaled, listProcessesOf } from './tailscaled.ts';
import type { ListProcesses } from './tailscaled.ts';

/** Gathers what is known about this process, now. */
export type OperatorFactsReader = () => Promise<OperatorFacts>;

export interface FactsSource {
  readonly platform: string;
  readonly uid: number | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The process file system (Linux). */
  readonly proc: string;
  /** All processes (elsewhere). */
  readonly listProcesses: ListProcesses;
  /** A clock that never goes back, ms. */
  readonly monotonicMs: () => number;
}

/**
 * How long a search for tailscaled counts. A daemon needs longer than this to start, log in and carry its first
 * connection; a search of 500 processes takes some 10 ms of the thread pool.
 */
const searchAgeMsMax = 1_000;

export function thisMachine(): FactsSource {
  return {
    platform: process.platform,
    uid: process.geteuid?.(),
    environment: process.env,
    proc: '/proc',
    listProcesses: listProcessesOf(process.platform),
    monotonicMs: () => performance.now(),
  };
}

/**
 * Reads the facts. Namespace, control group and variables are those that the process was started with: they are read
 * once. Whether a tailscaled runs is asked again when the last answer is a second old; requests share one search.
 */
export function createFactsReader(source: FactsSource = thisMachine()): OperatorFactsReader {
  const isLinux = source.platform === 'linux';
  const variables = new Set(
    Object.keys(source.environment).filter((name) => source.environment[name] !== undefined),
  );
  const pidNamespace = isLinux
    ? readOr(() => readlinkSync(`${source.proc}/self/ns/pid`))
    : undefined;
  const cgroup = isLinux
    ? readOr(() => readFileSync(`${source.proc}/self/cgroup`, 'latin1'))
    : undefined;
  const search = (): Promise<OperatorFacts['tailscaled']> => {
    if (!isLinux) return findAnyTailscaled(source.listProcesses);
    if (source.uid === undefined)
      return Promise.resolve({ found: false, unknown: 'our own user is unknown' });
    return findTailscaled(source.proc, source.uid);
  };
  let last: { atMs: number; finding: Promise<OperatorFacts['tailscaled']> } | undefined;
  return async () => {
    const nowMs = source.monotonicMs();
    if (last === undefined || nowMs - last.atMs >= searchAgeMsMax)
      last = { atMs: nowMs, finding: search() };
    return { isLinux, variables, pidNamespace, cgroup, tailscaled: await last.finding };
  };
}

function readOr(read: () => string): string | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

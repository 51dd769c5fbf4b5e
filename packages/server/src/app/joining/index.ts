/**
 * @module A machine that joins: on the network by a tailscaled, in the registry under a type, alive by heartbeats.
 *
 * Promises: killed at any step and started again it goes on, under the same id; leaving undoes what joining did and
 * nothing else; what is wrong is one sentence, said once. Refuses: a second process for the same state folder, and
 * another server than before without leaving first.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, ok, Secret } from '@postern/core/base';
import type { Credential } from '../../adapters/registry-client/index.ts';
import { createRegistryClient } from '../../adapters/registry-client/index.ts';
import { probeTcp } from '../../adapters/tailnet-probe/index.ts';
import type { Logger } from '../../observe/index.ts';
import { createLazyEgress } from '../egress.ts';
import type { DaemonChoice } from './daemon.ts';
import { localDaemons } from './daemon.ts';
import { targetOf } from './exposure.ts';
import { holderOf, takeLock } from './lock.ts';
import type { Ended } from './membership.ts';
import { Membership } from './membership.ts';
import type { JoinEvent, JoinSettings, JoinSurroundings } from './ports.ts';
import type { JoinRecord } from './steps.ts';
import { joinFolder, readRecord, writeRecord, writeWhole } from './steps.ts';

export type { DaemonChoice } from './daemon.ts';
export { localDaemons } from './daemon.ts';
export type { Ended } from './membership.ts';
export { Membership } from './membership.ts';
export type * from './ports.ts';
export { holderOf } from './lock.ts';
export { type JoinRecord, joinFolder, readRecord, writeRecord } from './steps.ts';

export interface JoinOptions {
  readonly settings: JoinSettings;
  readonly credential: () => Promise<Result<Credential, string>>;
  readonly daemon: DaemonChoice;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly say: (event: JoinEvent) => void;
  readonly signal: AbortSignal;
}

/** How long a look at the backend may take. */
const probeMsMax = 2_000;
const leaveMsMax = 60_000;
const lookMs = 200;

/** Joins, and stays joined until the signal, a leave, or a reason why it cannot work. */
export async function join(options: JoinOptions): Promise<Ended> {
  const { settings, stateDir } = options;
  await mkdir(joinFolder(stateDir), { recursive: true, mode: 0o700 });
  const lock = await takeLock(stateDir);
  if (lock === undefined) {
    const pid = await holderOf(stateDir);
    return { kind: 'failed', message: `process ${pid} keeps this machine joined already` };
  }
  const around = surroundingsOf(options);
  try {
    const record = await begin(settings, stateDir, randomUUID);
    if (!record.ok) return { kind: 'failed', message: record.error };
    if (record.value.step === 'leaving') {
      // A leave was cut off: it is finished first.
      await new Membership(settings, around, record.value).leave();
      const anew = await begin(settings, stateDir, randomUUID);
      if (!anew.ok) return { kind: 'failed', message: anew.error };
      return await new Membership(settings, around, anew.value).run();
    }
    return await new Membership(settings, around, record.value).run();
  } finally {
    await around.close();
    await lock.release();
  }
}

/** The record of before, with what was asked for now; or a new one, written before anything else. */
export async function begin(
  settings: JoinSettings,
  stateDir: string,
  newId: () => string,
): Promise<Result<JoinRecord, string>> {
  const before = await readRecord(stateDir);
  if (!before.ok) return before;
  const { server, name, type } = settings;
  const known = before.value;
  if (known !== undefined && known.server !== server && known.step !== 'leaving') {
    return err(`this machine has joined ${known.server}; leave that first: postern leave`);
  }
  const backend = targetOf(settings.backend);
  if (known?.forwarded !== undefined && known.backend !== backend) {
    return err(`this machine serves ${known.backend}; leave first to serve another: postern leave`);
  }
  const record: JoinRecord =
    known === undefined
      ? {
          uuid: settings.uuid ?? newId(),
          server,
          name,
          type,
          backend,
          step: 'begun',
          loggedIn: false,
        }
      : { ...known, name, type, backend };
  await writeRecord(stateDir, record);
  return ok(record);
}

/** Makes this machine leave: by the process that keeps it joined, where one runs, else here. */
export async function leave(
  options: Omit<JoinOptions, 'settings' | 'credential' | 'daemon'> & {
    readonly credential: (record: JoinRecord) => JoinOptions['credential'];
    readonly statusFolder?: string;
  },
): Promise<Result<string, string>> {
  const { stateDir, signal } = options;
  const read = await readRecord(stateDir);
  if (!read.ok) return read;
  const record = read.value;
  if (record === undefined) return ok('this machine has not joined anything');
  await writeRecord(stateDir, { ...record, step: 'leaving' });
  const endMs = performance.now() + leaveMsMax;
  while ((await holderOf(stateDir)) !== undefined) {
    if (performance.now() > endMs || signal.aborted) {
      return err(`process ${await holderOf(stateDir)} keeps this machine joined and does not end`);
    }
    await pause(lookMs, signal);
  }
  const left = await readRecord(stateDir);
  if (left.ok && left.value === undefined) return ok(`left ${record.server}`);
  const settings = settingsOf(record, options.statusFolder);
  const all = {
    ...options,
    settings,
    credential: options.credential(record),
    daemon: 'any',
  } as const;
  const around = surroundingsOf(all);
  try {
    await new Membership(settings, around, { ...record, step: 'leaving' }).leave();
  } finally {
    await around.close();
  }
  return ok(`left ${record.server}`);
}

function settingsOf(
  { server, name, type, backend }: JoinRecord,
  statusFolder: string | undefined,
): JoinSettings {
  const at = backend.lastIndexOf(':');
  const host = backend.slice(0, at).replaceAll(/[[\]]/g, '');
  return {
    server,
    name,
    type,
    backend: { host, port: Number(backend.slice(at + 1)) },
    leaseSeconds: 30,
    metadata: {},
    acceptDns: false,
    ...(statusFolder === undefined ? {} : { statusFolder }),
  };
}

function surroundingsOf({
  settings,
  credential,
  daemon,
  stateDir,
  env,
  logger,
  say,
  signal,
}: JoinOptions): JoinSurroundings & { close(): Promise<void> } {
  const egress = createLazyEgress();
  return {
    stateDir,
    client: createRegistryClient({
      server: new URL(settings.server),
      credential,
      egress: egress.egress,
    }),
    openDaemon: localDaemons({ choice: daemon, stateDir, env, logger }),
    probe: (host, port) => probeTcp(host, port, AbortSignal.timeout(probeMsMax)),
    say,
    heard: () =>
      writeFile(path.join(joinFolder(stateDir), 'alive'), `${new Date().toISOString()}\n`, {
        mode: 0o600,
      }).catch(() => undefined),
    newId: randomUUID,
    monotonicMs: () => performance.now(),
    sleep: (ms) => pause(ms, signal),
    signal,
    close: () => egress.close(),
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}

/** Where the key of a join is kept, so that leaving needs none: in the state folder, readable by its owner alone. */
export function tokenFile(stateDir: string): string {
  return path.join(joinFolder(stateDir), 'token');
}

/** Keeps the key that was given for the next start and for leaving. */
export function keepToken(stateDir: string, token: string): Promise<void> {
  return writeWhole(tokenFile(stateDir), `${token}\n`);
}

/** What is kept where no key is: which app the registry is, behind our own mesh. */
export function meshToken(appId: string, port: number): string {
  return `mesh:${appId}:${port}`;
}

/** The key from the file of the join, or the way through the mesh; err: a sentence. */
export async function keptToken(stateDir: string): Promise<Result<Credential, string>> {
  const text = (await readFile(tokenFile(stateDir), 'utf8').catch(() => '')).trim();
  if (text === '') {
    return err(
      'there is no key for this machine: --token-file (postern key create NAME --join TYPE)',
    );
  }
  const mesh = /^mesh:(?<app>[0-9a-f]{40}):(?<port>\d{1,5})$/.exec(text)?.groups;
  if (mesh === undefined) return ok({ kind: 'token', token: new Secret(text) });
  const headers = {
    'x-dstack-target-app': mesh['app'] ?? '',
    'x-dstack-target-port': mesh['port'] ?? '',
  };
  return ok({ kind: 'mesh', headers });
}

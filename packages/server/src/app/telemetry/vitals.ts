import { X509Certificate } from 'node:crypto';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Config } from '@postern/core/contract';
import type { Snapshot } from '@postern/core/state';
import type { Control } from '../../control/index.ts';
import { edgeFiles } from '../certificate.ts';
import { collateralFolder } from '../settings.ts';

/** What ages or ends by itself: gauges show it, alerts watch it. */
export interface Vitals {
  /** When the last backup was made, epoch ms; undefined where none is known of. */
  readonly backupAtMs: number | undefined;
  /** Stored collateral of each vendor: when it was last renewed. */
  readonly collateral: readonly { readonly vendor: 'intel' | 'amd'; readonly atMs: number }[];
  readonly certificates: readonly { readonly listener: string; readonly expiresAtMs: number }[];
  /** Listeners whose certificate is configured and cannot be read. */
  readonly unreadable: readonly string[];
  /** The first of the node keys that are still good to end. */
  readonly nodeKeys: readonly { readonly name: string; readonly expiresAtMs: number }[];
}

export interface VitalsSource {
  readonly stateDir: string;
  readonly config: Config;
  readonly snapshot: Snapshot;
  readonly nowMs: number;
}

/** Files of one folder that are looked at: collateral is a few dozen. */
const filesMax = 1_000;

/** Reads them from where they are; what cannot be read is as if it were not there. */
export async function readVitals(source: VitalsSource): Promise<Vitals> {
  const [backupAtMs, intel, amd, edge, engine] = await Promise.all([
    modifiedAt(backupStamp(source.stateDir)),
    newestIn(collateralFolder(source.stateDir, 'intel')),
    newestIn(collateralFolder(source.stateDir, 'amd')),
    expiryOf(edgeFiles(source.config)?.certificateFile),
    expiryOf(engineCertificate(source.config)),
  ]);
  const shown = [
    { listener: 'public', expiresAtMs: edge },
    { listener: 'coordination', expiresAtMs: engine },
  ];
  return {
    backupAtMs,
    collateral: [
      ...(intel === undefined ? [] : [{ vendor: 'intel' as const, atMs: intel }]),
      ...(amd === undefined ? [] : [{ vendor: 'amd' as const, atMs: amd }]),
    ],
    certificates: shown.flatMap(({ listener, expiresAtMs }) =>
      typeof expiresAtMs === 'number' ? [{ listener, expiresAtMs }] : [],
    ),
    unreadable: shown.flatMap(({ listener, expiresAtMs }) =>
      expiresAtMs === 'unreadable' ? [listener] : [],
    ),
    nodeKeys: nodeKeysOf(source.snapshot),
  };
}

/** Notes when a backup was made: the copy itself is usually moved elsewhere at once. */
export function notingBackups(control: Control, stateDir: string): Control {
  return {
    ...control,
    backup: async (file) => {
      const made = await control.backup(file);
      if (made.ok) await note(backupStamp(stateDir), made.value.createdAtMs);
      return made;
    },
  };
}

/** Where the time of the last backup is noted. */
export function backupStamp(stateDir: string): string {
  return path.join(stateDir, 'backups', '.last');
}

async function note(file: string, atMs: number): Promise<void> {
  try {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, `${new Date(atMs).toISOString()}\n`, { mode: 0o600 });
  } catch {
    // The backup is there whether or not its time could be noted; its age then looks older than it is.
  }
}

async function modifiedAt(file: string): Promise<number | undefined> {
  try {
    return (await stat(file)).mtimeMs;
  } catch {
    return undefined;
  }
}

async function newestIn(folder: string): Promise<number | undefined> {
  try {
    const entries = (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .slice(0, filesMax);
    const times = await Promise.all(
      entries.map((entry) => modifiedAt(path.join(entry.parentPath, entry.name))),
    );
    return times.reduce((newest, each) => Math.max(newest ?? 0, each ?? 0), undefined);
  } catch {
    return undefined;
  }
}

function engineCertificate({ engine }: Config): string | undefined {
  const tls = engine?.tls;
  return typeof tls === 'object' ? tls.certificateFile : undefined;
}

async function expiryOf(file: string | undefined): Promise<number | 'unreadable' | undefined> {
  if (file === undefined) return undefined;
  try {
    return Date.parse(new X509Certificate(await readFile(file)).validTo);
  } catch {
    return 'unreadable';
  }
}

function nodeKeysOf({ network }: Snapshot): Vitals['nodeKeys'] {
  const keys: { name: string; expiresAtMs: number }[] = [];
  for (const { name, keyExpiresAtMs } of network.nodesById.values()) {
    // One that has ended is still one that somebody has to renew.
    if (keyExpiresAtMs !== undefined) keys.push({ name, expiresAtMs: keyExpiresAtMs });
  }
  return keys.toSorted((a, b) => a.expiresAtMs - b.expiresAtMs);
}

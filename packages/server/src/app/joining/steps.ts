import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok } from '@postern/core/base';

/** How far a node has come. Each is written before what it names is done, so that leaving undoes all of it. */
export type Step =
  /** It has an id, which it keeps from here on. */
  | 'begun'
  /** It may have logged a tailscaled in. */
  | 'network'
  /** Serve may pass its port on. */
  | 'serve'
  /** The registry may know it. */
  | 'registered'
  /** It is being undone. */
  | 'leaving';

/** What a node must know after a crash. */
export interface JoinRecord {
  readonly uuid: string;
  readonly server: string;
  readonly name: string;
  readonly type: string;
  readonly backend: string;
  readonly step: Step;
  /** We logged the daemon in, so leaving logs it out. */
  readonly loggedIn: boolean;
  /** Whose daemon: that of the machine, or one of ours. */
  readonly daemon?: 'existing' | 'own';
  readonly loginServer?: string;
  /** The port that Serve passes on to the backend. */
  readonly forwarded?: number;
  /** What the registry asks for before the engine forgets the machine. */
  readonly leaveToken?: string;
}

const steps: readonly string[] = ['begun', 'network', 'serve', 'registered', 'leaving'];

/** The folder of a join: its record, its own tailscaled, what it tells the machine. */
export function joinFolder(stateDir: string): string {
  return path.join(stateDir, 'join');
}

function fileOf(stateDir: string): string {
  return path.join(joinFolder(stateDir), 'join.json');
}

/** Undefined where this machine has not begun to join. */
export async function readRecord(
  stateDir: string,
): Promise<Result<JoinRecord | undefined, string>> {
  const file = fileOf(stateDir);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (isMissing(cause)) return ok(undefined);
    return err(`${file} cannot be read: ${String(cause)}`);
  }
  const record = recordOf(jsonValueOf(text));
  return record === undefined
    ? err(`${file} is no record of a join; remove it to begin anew`)
    : ok(record);
}

/** Replaces the whole file; it is on the disk when this resolves. */
export async function writeRecord(stateDir: string, record: JoinRecord): Promise<void> {
  await writeWhole(fileOf(stateDir), `${JSON.stringify(record, null, 2)}\n`);
}

export async function removeRecord(stateDir: string): Promise<void> {
  await rm(fileOf(stateDir), { force: true });
}

/** A reader sees the old text or the new one, also after a loss of power. Only we may read it. */
export async function writeWhole(file: string, text: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
  const fresh = `${file}.new`;
  const handle = await open(fresh, 'w', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const folder = await open(path.dirname(file), 'r');
  // Some file systems cannot sync a folder; the rename is then as durable as they make it.
  await folder.sync().catch(() => undefined);
  await folder.close();
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

function recordOf(value: JsonValue | undefined): JoinRecord | undefined {
  if (!isJsonObject(value)) return undefined;
  const { uuid, server, name, type, backend, step, loggedIn, daemon, loginServer, forwarded } =
    value;
  const { leaveToken } = value;
  if (
    typeof uuid !== 'string' ||
    typeof server !== 'string' ||
    typeof name !== 'string' ||
    typeof type !== 'string' ||
    typeof backend !== 'string' ||
    typeof step !== 'string' ||
    !steps.includes(step)
  ) {
    return undefined;
  }
  return {
    uuid,
    server,
    name,
    type,
    backend,
    // It is one of them: that was just looked at.
    step: step as Step,
    loggedIn: loggedIn === true,
    ...(daemon === 'existing' || daemon === 'own' ? { daemon } : {}),
    ...(typeof loginServer === 'string' ? { loginServer } : {}),
    ...(typeof forwarded === 'number' ? { forwarded } : {}),
    ...(typeof leaveToken === 'string' ? { leaveToken } : {}),
  };
}

import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import { migrations } from './migrations.ts';

/** The schema of a state file, looked at from beside the process that owns it. */
export interface SchemaView {
  readonly found: number;
  /** The newest that this release knows. */
  readonly known: number;
  readonly bytes: number;
}

/** The newest schema that this release knows. */
export const schemaKnown = migrations.at(-1)?.version ?? 0;

/** Where a database has its user version, big-endian (sqlite.org/fileformat2, 1.3). */
const versionOffset = 60;

/**
 * Undefined where there is no state file yet. Whoever owns the file locks it, so its head is read instead: it says what was in force when
 * the log beside it was last folded in, which a start in order does.
 */
export function inspectSchema(dir: string): Result<SchemaView | undefined, string> {
  const file = path.join(dir, 'state.db');
  if (!existsSync(file)) return ok(undefined);
  try {
    const found = userVersion(file);
    if (found === 0)
      return err(
        `${file} does not say its schema yet, since the process that made it has not been started again. A backup says it: postern upgrade --check --backup FILE`,
      );
    return ok({ found, known: schemaKnown, bytes: statSync(file).size });
  } catch (cause) {
    return err(`${file} cannot be looked at: ${messageOf(cause)}`);
  }
}

function userVersion(file: string): number {
  const descriptor = openSync(file, 'r');
  try {
    const head = Buffer.alloc(4);
    readSync(descriptor, head, 0, head.length, versionOffset);
    return head.readUInt32BE();
  } finally {
    closeSync(descriptor);
  }
}

import type { Sha256Hex } from '@postern/core/state';
import { canonicalJson } from '@postern/core/state';
import type { BackupManifest } from '../../control/store.ts';

/** The manifest in the first two lines of a backup, or undefined where they are not exactly such lines. */
export function readManifest(header: string, sha256Hex: Sha256Hex): BackupManifest | undefined {
  const [, digest, line] = /^postern-backup 1 ([0-9a-f]{64})\n([^\n]*)\n$/.exec(header) ?? [];
  if (digest === undefined || line === undefined || sha256Hex(line) !== digest) return undefined;
  const manifest = manifestOf(line);
  return manifest !== undefined && canonicalJson(manifest) === line ? manifest : undefined;
}

const numbers = ['createdAtMs', 'schema', 'records', 'headIndex', 'bytes'] as const;
const digests = ['headHash', 'sha256'] as const;

function manifestOf(line: string): BackupManifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = new Map<string, unknown>(Object.entries(value));
  if (fields.get('format') !== 'postern-backup' || fields.get('version') !== 1) return undefined;
  for (const name of numbers) if (!Number.isSafeInteger(fields.get(name))) return undefined;
  for (const name of digests) {
    const digest = fields.get(name);
    if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return undefined;
  }
  // Every member was judged above; one too many makes no difference to what the others mean.
  return value as BackupManifest;
}

import { readFile, stat } from 'node:fs/promises';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { AuthoritiesReader } from '../adapters/provider-http/index.ts';

/** How often a file of authorities is looked at: a renewed one is in use a moment later. */
const lookMsMin = 1_000;

/** The file must be good now; what it becomes later is used when it is good, else the last good one stays. */
export async function authoritiesOf(
  file: string | undefined,
  nowMs: () => number,
): Promise<Result<AuthoritiesReader | undefined, string>> {
  if (file === undefined) return ok(undefined);
  const first = await readCa(file);
  if (!first.ok) return first;
  let pem = first.value ?? '';
  let version = await versionOf(file);
  let lookedAtMs = nowMs();
  return ok(async () => {
    const now = nowMs();
    if (now - lookedAtMs < lookMsMin && now >= lookedAtMs) return pem;
    lookedAtMs = now;
    const seen = await versionOf(file);
    if (seen === undefined || seen === version) return pem;
    const next = await readCa(file);
    if (next.ok && next.value !== undefined) {
      pem = next.value;
      version = seen;
    }
    return pem;
  });
}

export async function readCa(
  file: string | undefined,
): Promise<Result<string | undefined, string>> {
  if (file === undefined) return ok(undefined);
  try {
    const pem = await readFile(file, 'utf8');
    return pem.includes('-----BEGIN CERTIFICATE-----')
      ? ok(pem)
      : err(`caFile ${file} holds no PEM certificate`);
  } catch {
    return err(`caFile ${file} cannot be read`);
  }
}

/** What changes when a file is written or replaced. */
async function versionOf(file: string): Promise<string | undefined> {
  try {
    const { mtimeMs, size, ino } = await stat(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return undefined;
  }
}

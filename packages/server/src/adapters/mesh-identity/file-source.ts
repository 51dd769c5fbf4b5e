import { open } from 'node:fs/promises';
import { err, ok, type Result, Secret } from '@postern/core/base';
import type { IdentitySource } from '../../mesh/index.ts';
import { createCredential } from './credential.ts';

export interface FileSourceOptions {
  /** PEM, leaf first. */
  readonly certificateFile: string;
  /** PEM, PKCS #8; its owner alone may read it. */
  readonly keyFile: string;
  /** Whose files are ours, beside root's; undefined where the system has no owners. */
  readonly uid: number | undefined;
}

const fileBytesMax = 262_144;
const othersBits = 0o077;

/** A pair that somebody else renews on disk; it is read again at half of its life. */
export function createFileSource(options: FileSourceOptions): IdentitySource {
  return {
    name: `files ${options.certificateFile}`,
    issue: async () => {
      const chain = await readWhole(options.certificateFile);
      if (!chain.ok) return chain;
      const key = await readKeyFile(options.keyFile, options.uid);
      return key.ok ? createCredential(key.value, chain.value) : key;
    },
  };
}

/**
 * The text of a key file, where nobody but its owner may read it. Mode and content are of the same open file, so that
 * nothing can be swapped in between.
 */
export async function readKeyFile(
  path: string,
  uid: number | undefined,
): Promise<Result<Secret, string>> {
  const text = await readWhole(path, (mode, owner) => {
    if ((mode & othersBits) !== 0) {
      return `others may read it (mode ${(mode & 0o777).toString(8)}): chmod 600 ${path}, and make a new key`;
    }
    return uid === undefined || owner === uid || owner === 0 ? undefined : 'it is somebody else’s';
  });
  return text.ok ? ok(new Secret(text.value)) : text;
}

async function readWhole(
  path: string,
  judge: (mode: number, owner: number) => string | undefined = () => undefined,
): Promise<Result<string, string>> {
  try {
    const file = await open(path, 'r');
    try {
      const { mode, uid, size } = await file.stat();
      const problem = judge(mode, uid);
      if (problem !== undefined) return err(`${path}: ${problem}`);
      if (size > fileBytesMax) return err(`${path}: larger than ${fileBytesMax} bytes`);
      return ok(await file.readFile('utf8'));
    } finally {
      await file.close();
    }
  } catch (cause) {
    return err(`${path}: ${cause instanceof Error ? cause.message : 'cannot be read'}`);
  }
}

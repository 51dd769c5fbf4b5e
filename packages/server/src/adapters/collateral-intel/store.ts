import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { parseCollateral } from '@postern/core/attest';
import type { CollateralSubject, IntelCollateralSource } from '@postern/core/attest';

const folderMode = 0o700;
const fileMode = 0o600;
/** Two lists of 4 MiB in hex, and statements. */
const fileBytesMax = 20 << 20;
const namePattern = /^(sgx|tdx)-([0-9a-f]{12})-(platform|processor)\.json$/;

/** What was found on disk: not yet believed. */
export interface StoredFile {
  readonly source: IntelCollateralSource;
  readonly storedAtMs: number;
}

/** Collateral as files, one a subject, readable by their owner alone. A file is whole or it is not there. */
export class CollateralFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Subjects that have a file, in the order of their names. */
  async subjects(): Promise<CollateralSubject[]> {
    const names = await readdir(this.#folder).catch(() => []);
    return names
      .toSorted((a, b) => (a < b ? -1 : 1))
      .flatMap((name) => {
        const [, tee, fmspc, ca] = namePattern.exec(name) ?? [];
        if (fmspc === undefined) return [];
        const kind = tee === 'sgx' ? 'sgx' : 'tdx';
        return [{ tee: kind, fmspc, ca: ca === 'platform' ? 'platform' : 'processor' } as const];
      });
  }

  /** The file of a subject; undefined where there is none or it is not readable. */
  async read(subject: CollateralSubject): Promise<StoredFile | undefined> {
    const file = this.#file(subject);
    try {
      const { size, mtimeMs } = await stat(file);
      if (size > fileBytesMax) return undefined;
      const source = parseCollateral(new Uint8Array(await readFile(file)));
      return source.ok ? { source: source.value, storedAtMs: mtimeMs } : undefined;
    } catch {
      return undefined;
    }
  }

  async write(subject: CollateralSubject, source: IntelCollateralSource): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: folderMode });
    await chmod(this.#folder, folderMode);
    const target = this.#file(subject);
    const aside = `${target}.${randomBytes(6).toString('hex')}`;
    try {
      const handle = await open(aside, 'wx', fileMode);
      try {
        await handle.writeFile(`${JSON.stringify(source, undefined, 1)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(aside, target);
    } catch (cause) {
      await unlink(aside).catch(() => undefined);
      throw cause;
    }
  }

  async remove(subject: CollateralSubject): Promise<void> {
    await unlink(this.#file(subject)).catch(() => undefined);
  }

  #file({ tee, fmspc, ca }: CollateralSubject): string {
    return path.join(this.#folder, `${tee}-${fmspc}-${ca}.json`);
  }
}

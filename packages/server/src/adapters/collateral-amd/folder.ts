import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';

const folderMode = 0o700;
const fileMode = 0o600;
const msPerSecond = 1000;

export interface StoredBytes {
  readonly bytes: Uint8Array;
  readonly storedAtMs: number;
}

/** Files readable by their owner alone. A file is whole or it is not there. */
export class AmdFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async names(): Promise<readonly string[]> {
    return (await readdir(this.#folder).catch(() => [])).toSorted((a, b) => (a < b ? -1 : 1));
  }

  /** Undefined where there is none, it is not readable, or larger than `bytesMax`. */
  async read(name: string, bytesMax: number): Promise<StoredBytes | undefined> {
    const file = path.join(this.#folder, name);
    try {
      const { size, mtimeMs } = await stat(file);
      if (size > bytesMax) return undefined;
      return { bytes: new Uint8Array(await readFile(file)), storedAtMs: mtimeMs };
    } catch {
      return undefined;
    }
  }

  async write(name: string, bytes: Uint8Array, storedAtMs: number): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: folderMode });
    await chmod(this.#folder, folderMode);
    const target = path.join(this.#folder, name);
    const aside = `${target}.${randomBytes(6).toString('hex')}`;
    try {
      const handle = await open(aside, 'wx', fileMode);
      try {
        await handle.writeFile(bytes);
        await handle.utimes(storedAtMs / msPerSecond, storedAtMs / msPerSecond);
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

  async remove(name: string): Promise<void> {
    await unlink(path.join(this.#folder, name)).catch(() => undefined);
  }
}

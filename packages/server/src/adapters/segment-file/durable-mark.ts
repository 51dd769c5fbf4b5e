import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { constants, open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fromHex, toHex } from '@postern/core/base';
import { isCode } from './files.ts';

/** A record that is known to have been durable, and the hash that it has. */
export interface DurableMark {
  readonly index: number;
  readonly hash: Uint8Array;
}

export const durableName = 'durable';

const form = /^(postern-durable\/1 (\d{20}) ([0-9a-f]{64})) ([0-9a-f]{16})\n$/;

/** One line of a constant length, so that it is written over in place: it needs no space where there is none. */
export function durableLine({ index, hash }: DurableMark): string {
  const text = `postern-durable/1 ${String(index).padStart(20, '0')} ${toHex(hash)}`;
  return `${text} ${checkOf(text)}\n`;
}

/** What a line says; undefined where it was not written whole, which is no more than not to know. */
export function readDurableLine(line: string): DurableMark | undefined {
  const [, text, index, hex, check] = form.exec(line) ?? [];
  const hash = fromHex(hex ?? '');
  if (text === undefined || hash === undefined || checkOf(text) !== check) return undefined;
  const value = Number(index);
  return Number.isSafeInteger(value) ? { index: value, hash } : undefined;
}

/** A flipped bit of this line must not count as damage of the log. */
function checkOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

export async function readDurableMark(dir: string): Promise<DurableMark | undefined> {
  try {
    return readDurableLine(await readFile(path.join(dir, durableName), 'latin1'));
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return undefined;
    throw cause;
  }
}

/**
 * Says beside the log how far it was durable. It is written after each batch and never synced: kill -9 leaves the last
 * line, a loss of power an older one, and what an older one says was durable too. With it a start tells a batch that a
 * crash cut off, which nobody relies on, from a record that was damaged afterwards.
 */
export class DurableMarkFile {
  readonly #file: string;
  #handle: FileHandle | undefined;

  constructor(dir: string) {
    this.#file = path.join(dir, durableName);
  }

  /** Never throws: the older mark stands, which is true as well. */
  async write(mark: DurableMark): Promise<void> {
    try {
      // Not emptied when it is opened: until the write is done, the old line stands.
      this.#handle ??= await open(this.#file, constants.O_RDWR | constants.O_CREAT, 0o600);
      await this.#handle.write(durableLine(mark), 0, 'latin1');
    } catch {
      await this.close();
    }
  }

  async close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close().catch(() => undefined);
  }
}

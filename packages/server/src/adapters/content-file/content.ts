import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { chown, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { isJsonObject, jsonValueOf } from '@postern/core/base';

/** One conversation as it is kept: the request's body and what the caller was sent. */
export interface Conversation {
  readonly atMs: number;
  readonly requestId: string;
  readonly caller: string;
  readonly request: string;
  readonly answer: string;
}

/** Whose conversations were made unreadable, and how many keys that took. */
export interface Erasure {
  readonly principal: string;
  readonly keys: number;
}

export const contentLimits = Object.freeze({
  /** What may wait for the disk; beyond that conversations are dropped and counted. */
  queueBytesMax: 32 * 1_048_576,
});

const dayMs = 86_400_000;
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

function dayOf(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** A key for each principal and day: a new one every day is the rotation, deleting it is the erasure. */
export function contentKeyId(caller: string, atMs: number): string {
  return `${dayOf(atMs)}.${principalPart(caller)}`;
}

function principalPart(caller: string): string {
  return hash('sha256', `postern.content.v1\n${caller}`, 'hex').slice(0, 32);
}

function isAbsent(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

async function textOf(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    if (isAbsent(cause)) return undefined;
    throw cause;
  });
}

/** A file that is there; undefined where there is none. */
async function openOf(file: string, flags: string): Promise<FileHandle | undefined> {
  return open(file, flags).catch((cause: unknown) => {
    if (isAbsent(cause)) return undefined;
    throw cause;
  });
}

/** The lines of a file, one at a time: a day may hold more than memory. None where the sweep removed it meanwhile. */
async function* linesOf(file: string): AsyncGenerator<string> {
  const handle = await openOf(file, 'r');
  if (handle === undefined) return;
  try {
    yield* handle.readLines({ encoding: 'utf8', autoClose: false });
  } finally {
    await handle.close();
  }
}

/** Appends a line. What an append left that was cut short is ended first, so that it spoils none but itself. */
async function appendLine(file: string, line: string): Promise<void> {
  const handle = await open(file, 'a+', 0o600);
  try {
    const { size } = await handle.stat();
    const end = Buffer.alloc(1);
    if (size > 0) await handle.read(end, 0, 1, size - 1);
    const isWhole = size === 0 || end.toString('latin1') === '\n';
    await handle.appendFile(`${isWhole ? '' : '\n'}${line}\n`);
  } finally {
    await handle.close();
  }
}

/** Conversations of a state folder, each sealed with AES-256-GCM under the key of its principal and day. */
export class ContentStore {
  readonly #dir: string;
  #queue: Promise<void> = Promise.resolve();
  #queuedBytes = 0;
  /** The notes of erasures that were given out last. */
  #toldErasures = '';

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Takes a conversation in; false where too much waits already. Written in order, in the background. */
  keep(conversation: Conversation, onFault: (fault: unknown) => void): boolean {
    const bytes = 2 * (conversation.request.length + conversation.answer.length);
    if (this.#queuedBytes + bytes > contentLimits.queueBytesMax) return false;
    this.#queuedBytes += bytes;
    this.#queue = this.#queue
      .then(() => this.#write(conversation))
      .catch(onFault)
      .finally(() => (this.#queuedBytes -= bytes));
    return true;
  }

  /** What was taken in so far is written. */
  async settled(): Promise<void> {
    await this.#queue;
  }

  /** Conversations that can still be read, the oldest first. */
  async *read(): AsyncGenerator<Conversation> {
    for (const day of await this.#days()) {
      for await (const line of linesOf(this.#file(day))) {
        const conversation = await this.#open(line);
        if (conversation !== undefined) yield conversation;
      }
    }
  }

  /** Makes every conversation of a principal unreadable for good. Returns how many keys that were. */
  async erase(caller: string): Promise<number> {
    const ending = `.${principalPart(caller)}.key`;
    const names = (await this.#names('keys')).filter((name) => name.endsWith(ending));
    let keys = 0;
    try {
      for (const name of names) {
        if (await this.#shred(path.join(this.#dir, 'keys', name))) keys += 1;
      }
    } finally {
      // What is gone is told, also where the rest could not be deleted.
      if (keys > 0) await this.#noteErasure({ principal: caller, keys });
    }
    return keys;
  }

  /**
   * Erasures that are not on the record yet. They are told until `erasuresRecorded`: after a crash once more, since twice
   * is better than never.
   */
  async takeErasures(): Promise<readonly Erasure[]> {
    // A new file for those that come meanwhile, but none over those of before.
    const text = (await textOf(this.#taken)) ?? (await this.#moveErasures());
    this.#toldErasures = text;
    return text.split('\n').flatMap((line) => {
      const value = jsonValueOf(line);
      if (!isJsonObject(value)) return [];
      const { principal, keys } = value;
      return typeof principal === 'string' && typeof keys === 'number' ? [{ principal, keys }] : [];
    });
  }

  /**
   * What was taken last is on the record and durable. A note that came since, of a command that had the file open before it
   * was taken, is told with the next ones, and those before it once more.
   */
  async erasuresRecorded(): Promise<void> {
    if ((await textOf(this.#taken)) === this.#toldErasures) await rm(this.#taken, { force: true });
  }

  /** Removes what is older than some days, keys first. Returns how many days that were. */
  async sweep(nowMs: number, retentionDays: number): Promise<number> {
    const bound = dayOf(nowMs - retentionDays * dayMs);
    for (const name of await this.#names('keys')) {
      if (name.slice(0, bound.length) < bound)
        await this.#shred(path.join(this.#dir, 'keys', name));
    }
    const days = (await this.#days()).filter((day) => day < bound);
    for (const day of days) await rm(this.#file(day), { force: true });
    return days.length;
  }

  async #write(conversation: Conversation): Promise<void> {
    const { atMs, requestId, caller, request, answer } = conversation;
    const id = contentKeyId(caller, atMs);
    const key = (await this.#key(id)) ?? (await this.#newKey(id));
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    cipher.setAAD(aad({ id, requestId, atMs }));
    const plain = JSON.stringify({ caller, request, answer });
    const sealed = Buffer.concat([
      nonce,
      cipher.update(plain, 'utf8'),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    const line = {
      at: atMs,
      key: id,
      request_id: requestId,
      sealed: sealed.toString('base64'),
      v: 1,
    };
    await appendLine(this.#file(dayOf(atMs)), JSON.stringify(line));
  }

  async #open(line: string): Promise<Conversation | undefined> {
    const value = jsonValueOf(line);
    if (!isJsonObject(value)) return undefined;
    const { at: atMs, key: id, request_id: requestId, sealed: text } = value;
    if (typeof atMs !== 'number' || typeof id !== 'string' || typeof requestId !== 'string') {
      return undefined;
    }
    const key = /^[0-9a-f.-]+$/.test(id) ? await this.#key(id) : undefined;
    const sealed = Buffer.from(typeof text === 'string' ? text : '', 'base64');
    if (key === undefined || sealed.length < nonceBytes + tagBytes) return undefined;
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceBytes));
      decipher.setAAD(aad({ id, requestId, atMs }));
      decipher.setAuthTag(sealed.subarray(-tagBytes));
      const body = sealed.subarray(nonceBytes, -tagBytes);
      const plain = jsonValueOf(
        Buffer.concat([decipher.update(body), decipher.final()]).toString(),
      );
      if (!isJsonObject(plain)) return undefined;
      const { caller, request, answer } = plain;
      if (typeof caller !== 'string' || typeof request !== 'string' || typeof answer !== 'string') {
        return undefined;
      }
      return { atMs, requestId, caller, request, answer };
    } catch {
      // Another key than then: it was erased in between. Or somebody changed the file.
      return undefined;
    }
  }

  async #key(id: string): Promise<Buffer | undefined> {
    const key = await readFile(this.#keyFile(id)).catch((cause: unknown) => {
      if (isAbsent(cause)) return undefined;
      throw cause;
    });
    return key?.length === keyBytes ? key : undefined;
  }

  async #newKey(id: string): Promise<Buffer> {
    await mkdir(path.join(this.#dir, 'keys'), { recursive: true, mode: 0o700 });
    const key = randomBytes(keyBytes);
    const handle = await open(this.#keyFile(id), 'w', 0o600);
    try {
      await handle.write(key);
      await handle.sync();
    } finally {
      await handle.close();
    }
    return key;
  }

  /**
   * Overwritten before it goes: on file systems that write in place nothing of it is left. False where somebody else, the
   * sweep or another erasure, was first.
   */
  async #shred(file: string): Promise<boolean> {
    const handle = await openOf(file, 'r+');
    if (handle === undefined) return false;
    try {
      await handle.write(randomBytes(keyBytes), 0, keyBytes, 0);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rm(file, { force: true });
    return true;
  }

  async #noteErasure(erasure: Erasure): Promise<void> {
    await appendLine(this.#erasures, JSON.stringify(erasure));
    await this.#giveToOwner(this.#erasures);
  }

  async #days(): Promise<readonly string[]> {
    const names = await this.#names('');
    return names
      .filter((name) => /^[0-9-]{10}\.jsonl$/.test(name))
      .map((name) => name.slice(0, 10));
  }

  async #names(folder: string): Promise<readonly string[]> {
    const names: readonly string[] = await readdir(path.join(this.#dir, folder)).catch(
      (cause: unknown) => {
        if (isAbsent(cause)) return [];
        throw cause;
      },
    );
    return names.toSorted();
  }

  async #moveErasures(): Promise<string> {
    await rename(this.#erasures, this.#taken).catch((cause: unknown) => {
      if (!isAbsent(cause)) throw cause;
    });
    return (await textOf(this.#taken)) ?? '';
  }

  /** What root wrote at the command line, the service that runs as somebody else must be able to read. */
  async #giveToOwner(file: string): Promise<void> {
    if (process.getuid?.() !== 0) return;
    const { uid, gid } = await stat(this.#dir);
    await chown(file, uid, gid);
  }

  get #erasures(): string {
    return path.join(this.#dir, 'erasures');
  }

  get #taken(): string {
    return `${this.#erasures}.taken`;
  }

  #file(day: string): string {
    return path.join(this.#dir, `${day}.jsonl`);
  }

  #keyFile(id: string): string {
    return path.join(this.#dir, 'keys', `${id}.key`);
  }
}

interface Place {
  readonly id: string;
  readonly requestId: string;
  readonly atMs: number;
}

/** A conversation cannot be moved to another request, time or key. */
function aad({ id, requestId, atMs }: Place): Buffer {
  return Buffer.from(`postern.content.v1\n${id}\n${requestId}\n${atMs}`);
}

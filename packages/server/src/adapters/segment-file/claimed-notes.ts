import { closeSync, openSync, readSync } from 'node:fs';
import type { Checkpoint, ClaimedCheckpoints, NoteKey } from '@postern/core/state/audit';
import { hashBytes, splitNotes } from '@postern/core/state/audit';
import { checkedCheckpoint, isCosigned } from './checkpoint-files.ts';
import { readOf } from './files.ts';
import type { NotePlace } from './note-places.ts';
import { notePlaces } from './note-places.ts';

/** What a note must begin with to be a checkpoint: origin, size, root. */
const claimForm = /^\n*([^\n]+)\n(0|[1-9][0-9]{0,15})\n([A-Za-z0-9+/]{43}=)\n/;

interface SourceFile {
  readonly file: string;
  /** Numbers of its notes: from the one on, before the other. */
  readonly begin: number;
  readonly end: number;
}

/**
 * Every note of some files that says that it is a checkpoint of a log. None is passed over: the one that knows of a record
 * that is gone may be any. 56 bytes are kept of each; where a signature matters, the note is read again.
 */
export class ClaimedNotes {
  readonly #key: NoteKey;
  readonly #origin: string;
  readonly #files: SourceFile[] = [];
  readonly #unsigned = new Set<number>();
  #others = 0;
  #count = 0;
  #sizes = new Float64Array(1_024);
  #places = new Float64Array(1_024);
  #lengths = new Float64Array(1_024);
  #roots = new Uint8Array(1_024 * hashBytes);

  constructor(key: NoteKey) {
    this.#key = key;
    this.#origin = Buffer.from(key.name).toString('latin1');
  }

  /** Notes that are no checkpoints of this log, and those whose signature was looked at and is not the key's. */
  get strange(): number {
    return this.#others + this.#unsigned.size;
  }

  /** Takes up the notes of a file, where there is one. Whether the key signed any of them. */
  async read(file: string): Promise<boolean> {
    const begin = this.#count;
    await readOf(file, async (handle) => {
      for await (const notes of notePlaces(handle)) for (const note of notes) this.#take(note);
    });
    this.#files.push({ file, begin, end: this.#count });
    for (let number = this.#count - 1; number >= begin; number -= 1) {
      if (this.#open(number) !== undefined) return true;
    }
    return false;
  }

  /** How many records the newest checkpoint covers that the key signed and every one of these cosigned; 0: there is none. */
  witnessed(witnesses: readonly NoteKey[]): number {
    for (const number of this.#bySize().toReversed()) {
      const checkpoint = isCosigned(this.#note(number), witnesses) ? this.#open(number) : undefined;
      if (checkpoint !== undefined) return checkpoint.size;
    }
    return 0;
  }

  /** For whoever holds them against the records. */
  inOrder(): ClaimedCheckpoints {
    const order = this.#bySize();
    const numberOf = (at: number): number => order[at] ?? 0;
    return {
      count: this.#count,
      sizeAt: (at) => this.#sizes[numberOf(at)] ?? 0,
      hasRoot: (at, root) => this.#hasRoot(numberOf(at), root),
      open: (at) => this.#open(numberOf(at)),
    };
  }

  #take({ text, at, bytes }: NotePlace): void {
    const [, origin, size, root = ''] = claimForm.exec(text) ?? [];
    if (origin !== this.#origin || !Number.isSafeInteger(Number(size))) {
      this.#others += 1;
      return;
    }
    const number = this.#count;
    if (number === this.#sizes.length) this.#grow();
    this.#count += 1;
    this.#sizes[number] = Number(size);
    this.#places[number] = at;
    this.#lengths[number] = bytes;
    this.#roots.set(Buffer.from(root, 'base64'), number * hashBytes);
  }

  #grow(): void {
    const length = 2 * this.#sizes.length;
    const longer = (numbers: Float64Array): Float64Array<ArrayBuffer> => {
      const twice = new Float64Array(length);
      twice.set(numbers);
      return twice;
    };
    this.#sizes = longer(this.#sizes);
    this.#places = longer(this.#places);
    this.#lengths = longer(this.#lengths);
    const roots = new Uint8Array(length * hashBytes);
    roots.set(this.#roots);
    this.#roots = roots;
  }

  #bySize(): Uint32Array {
    const sizes = this.#sizes;
    const numbers = Uint32Array.from({ length: this.#count }, (_, number) => number);
    return numbers.sort((a, b) => (sizes[a] ?? 0) - (sizes[b] ?? 0) || a - b);
  }

  #hasRoot(number: number, root: Uint8Array): boolean {
    const begin = number * hashBytes;
    for (let at = 0; at < hashBytes; at += 1) {
      if (this.#roots[begin + at] !== root[at]) return false;
    }
    return true;
  }

  #open(number: number): Checkpoint | undefined {
    if (this.#unsigned.has(number)) return undefined;
    const checkpoint = checkedCheckpoint(this.#note(number), this.#key);
    if (checkpoint === undefined) this.#unsigned.add(number);
    return checkpoint;
  }

  #note(number: number): string {
    const source = this.#files.find(({ end }) => number < end);
    if (source === undefined) return '';
    const buffer = Buffer.alloc(this.#lengths[number] ?? 0);
    const file = openSync(source.file, 'r');
    try {
      const bytes = readSync(file, buffer, 0, buffer.length, this.#places[number] ?? 0);
      return splitNotes(buffer.toString('utf8', 0, bytes))[0] ?? '';
    } finally {
      closeSync(file);
    }
  }
}

import type { FileHandle } from 'node:fs/promises';
import { auditLimits } from '@postern/core/state/audit';
import { segmentLimits } from './limits.ts';

/** A note where it stands in a file; its text as Latin-1, so that a character is a byte. */
export interface NotePlace {
  readonly text: string;
  /** Where it begins, and how long it is with its signatures; at the end of a file it may be a line feed shorter. */
  readonly at: number;
  readonly bytes: number;
}

/** The notes of a file as `splitNotes` has them, those of one piece of it at a time. */
export async function* notePlaces(handle: FileHandle): AsyncGenerator<readonly NotePlace[]> {
  const buffer = Buffer.allocUnsafe(segmentLimits.readBytes);
  const splitter = new NoteSplitter();
  for (let at = 0; ; ) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) break;
    at += bytesRead;
    yield splitter.take(buffer.toString('latin1', 0, bytesRead));
  }
  yield splitter.end();
}

const signatureStart = Buffer.from('— ').toString('latin1');

class NoteSplitter {
  #notes: NotePlace[] = [];
  /** What may be the text of signatures that follow. */
  #text: NotePlace | undefined;
  /** A part whose end was not read yet, where it begins, and how much of it was not kept. */
  #part = '';
  #partAt = 0;
  #dropped = 0;

  take(piece: string): readonly NotePlace[] {
    const parts = (this.#part + piece).split('\n\n');
    this.#part = parts.pop() ?? '';
    for (const part of parts) this.#takePart(part);
    if (this.#part.length > auditLimits.noteBytesMax) {
      // No note is that long, and what does not end must not fill the memory. It is no text and no signature from here on.
      const kept = `\0${this.#part.slice(-1)}`;
      this.#dropped += this.#part.length - kept.length;
      this.#part = kept;
    }
    return this.#give();
  }

  end(): readonly NotePlace[] {
    this.#takePart(this.#part);
    this.#endText();
    return this.#give();
  }

  #give(): readonly NotePlace[] {
    const notes = this.#notes;
    this.#notes = [];
    return notes;
  }

  #takePart(part: string): void {
    const at = this.#partAt;
    const bytes = part.length + this.#dropped;
    this.#partAt += bytes + 2;
    this.#dropped = 0;
    const text = this.#text;
    if (text !== undefined && part.startsWith(signatureStart)) {
      // With the line feed of its last signature.
      this.#notes.push({ ...text, bytes: at + bytes + 1 - text.at });
      this.#text = undefined;
      return;
    }
    this.#endText();
    this.#text = { text: part, at, bytes };
  }

  /** No signatures follow: it is a note by itself, unless it is nothing. */
  #endText(): void {
    if (this.#text !== undefined && this.#text.text.trim() !== '') this.#notes.push(this.#text);
    this.#text = undefined;
  }
}

import { readBody } from './record.ts';
import type { NoteCrypto, NoteKey } from './note.ts';
import { readNote, verifyNote } from './note.ts';

/** A statement of a log that one record is in it. Its first line keeps it apart from a checkpoint. */
export interface Receipt {
  readonly origin: string;
  readonly index: number;
  /** The record as the log has it. */
  readonly body: string;
}

const heading = 'postern.dev/receipt/v1';

/** What a receipt's note signs: heading, name of the log, index, body. */
export function receiptText({ origin, index, body }: Receipt): string {
  return `${heading}\n${origin}\n${index}\n${body}\n`;
}

/** The receipt of a note that the log's key signed; undefined where it is none, or signed by somebody else. */
export function verifyReceipt(note: string, key: NoteKey, crypto: NoteCrypto): Receipt | undefined {
  const read = readNote(note);
  if (read === undefined || verifyNote(read, key, crypto) === undefined) return undefined;
  const [first, origin = '', number = '', body = '', end, ...more] = read.text.split('\n');
  const index = Number(number);
  const isForm =
    first === heading && end === '' && more.length === 0 && /^[1-9]\d{0,15}$/.test(number);
  if (!isForm || origin !== key.name || readBody(body)?.index !== index) return undefined;
  return { origin, index, body };
}

import { equalBytes, fromHex, isJsonObject, utf8 } from '@postern/core/base';
import type { JsonValue } from '@postern/core/base';
import { leafData } from './chain.ts';
import type { Checkpoint } from './checkpoint.ts';
import { readCheckpoint } from './checkpoint.ts';
import { readBody } from './record.ts';
import type { NoteCrypto, NoteKey } from './note.ts';
import { readNote, verifyNote } from './note.ts';
import { leafHash, rootOfInclusion } from './tree.ts';

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

/** More steps than a tree of 2^53 records has. */
const proofStepsMax = 64;

/**
 * The checkpoint that a proof by `postern audit prove` leads the record of a receipt to; undefined where it does not: another
 * record, a checkpoint that the log's key did not sign, or hashes that lead elsewhere.
 */
export function checkpointOfProof(
  receipt: Receipt,
  proof: JsonValue,
  by: { readonly key: NoteKey; readonly crypto: NoteCrypto },
): Checkpoint | undefined {
  if (!isJsonObject(proof) || proof['kind'] !== 'inclusion') return undefined;
  const { index, before, body, checkpoint: note, proof: steps } = proof;
  if (index !== receipt.index || body !== receipt.body || !Array.isArray(steps)) return undefined;
  if (typeof before !== 'string' || typeof note !== 'string') return undefined;
  const previous = fromHex(before);
  // Array.isArray leaves `any[]` of what is JSON.
  const hashes = (steps as readonly JsonValue[]).map((each) =>
    typeof each === 'string' ? fromHex(each) : undefined,
  );
  const path = hashes.filter((each) => each !== undefined);
  if (previous === undefined || path.length !== hashes.length) return undefined;
  if (path.length > proofStepsMax) return undefined;
  const signed = readNote(note);
  if (signed === undefined || verifyNote(signed, by.key, by.crypto) === undefined) return undefined;
  const checkpoint = readCheckpoint(signed.text);
  if (checkpoint === undefined || checkpoint.origin !== receipt.origin) return undefined;
  const { sha256 } = by.crypto;
  const leaf = leafHash(leafData(previous, utf8(receipt.body)), sha256);
  const claim = { leaf, index: receipt.index - 1, size: checkpoint.size, proof: path };
  const root = rootOfInclusion(claim, sha256);
  return root !== undefined && equalBytes(root, checkpoint.root) ? checkpoint : undefined;
}

import { concatBytes, equalBytes, fromBase64, toBase64, toHex, utf8 } from '@postern/core/base';
import { auditLimits } from './limits.ts';
import type { Sha256 } from './tree.ts';

/** Ed25519 (RFC 8032) as core needs it: raw keys of 32 bytes, signatures of 64. */
export type Ed25519Verify = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean;
export type Ed25519Sign = (message: Uint8Array) => Uint8Array;

/** Signature types of the C2SP signed-note and tlog-cosignature specifications. */
export const noteAlgorithms = Object.freeze({ ed25519: 1, cosignature: 4 });

/** Who signs: the verifier key of C2SP signed-note. */
export interface NoteKey {
  readonly name: string;
  readonly algorithm: number;
  readonly publicKey: Uint8Array;
}

/** One signature line. What the bytes after the key id mean, the algorithm of the key says. */
export interface NoteSignature {
  readonly name: string;
  readonly keyId: Uint8Array;
  readonly signature: Uint8Array;
}

/** A signed note: a text that ends in a line feed, and who signed it. */
export interface SignedNote {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const keyIdBytes = 4;
const publicKeyBytes = 32;
export const ed25519SignatureBytes = 64;

/** C2SP signed-note: the first four bytes of SHA-256(name ‖ LF ‖ algorithm ‖ public key). */
export function noteKeyId({ name, algorithm, publicKey }: NoteKey, sha256: Sha256): Uint8Array {
  const input = concatBytes(utf8(`${name}\n`), Uint8Array.of(algorithm), publicKey);
  return sha256(input).slice(0, keyIdBytes);
}

/** `NAME+KEYID+KEY`: how a key is shown to people and given to other programs. */
export function noteKeyText(key: NoteKey, sha256: Sha256): string {
  const encoded = toBase64(concatBytes(Uint8Array.of(key.algorithm), key.publicKey));
  return `${key.name}+${toHex(noteKeyId(key, sha256))}+${encoded}`;
}

export function readNoteKey(text: string, sha256: Sha256): NoteKey | undefined {
  const match = /^([^\s+]{1,255})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,128})$/u.exec(text);
  const [, name = '', id = '', encoded = ''] = match ?? [];
  const bytes = match === null ? undefined : fromBase64(encoded);
  if (bytes?.length !== 1 + publicKeyBytes) return undefined;
  const key: NoteKey = { name, algorithm: bytes[0] ?? 0, publicKey: bytes.slice(1) };
  return toHex(noteKeyId(key, sha256)) === id ? key : undefined;
}

export function noteText({ text, signatures }: SignedNote): string {
  const lines = signatures.map(
    ({ name, keyId, signature }) => `— ${name} ${toBase64(concatBytes(keyId, signature))}\n`,
  );
  return `${text}\n${lines.join('')}`;
}

/** The note of a text, or undefined where it is none. Signatures are not checked. */
export function readNote(note: string): SignedNote | undefined {
  if (note.length > auditLimits.noteBytesMax) return undefined;
  // Control characters have no place in a note; a text may hold empty lines, signatures may not.
  if (/\p{Cc}/u.test(note.replaceAll('\n', ''))) return undefined;
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) return undefined;
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > auditLimits.noteSignaturesMax) return undefined;
  const signatures: NoteSignature[] = [];
  for (const line of lines) {
    const signature = readSignature(line);
    if (signature === undefined) return undefined;
    signatures.push(signature);
  }
  return { text: note.slice(0, end + 1), signatures };
}

function readSignature(line: string): NoteSignature | undefined {
  const match = /^— ([^\s+]{1,255}) ([A-Za-z0-9+/=]{1,512})$/u.exec(line);
  const [, name = '', encoded = ''] = match ?? [];
  const bytes = match === null ? undefined : fromBase64(encoded);
  if (bytes === undefined || bytes.length <= keyIdBytes) return undefined;
  return { name, keyId: bytes.slice(0, keyIdBytes), signature: bytes.slice(keyIdBytes) };
}

export function signNote(
  text: string,
  key: NoteKey,
  crypto: { readonly sha256: Sha256; readonly sign: Ed25519Sign },
): NoteSignature {
  const signature = crypto.sign(utf8(text));
  return { name: key.name, keyId: noteKeyId(key, crypto.sha256), signature };
}

/** What a signature of a key says about a note; `timeMs` is of a witness, who says when it saw the text. */
export interface NoteVerdict {
  readonly timeMs: number | undefined;
}

export interface NoteCrypto {
  readonly sha256: Sha256;
  readonly verify: Ed25519Verify;
}

/** Whether this key signed the note; undefined where it did not, or wrongly. Other signatures do not matter. */
export function verifyNote(
  note: SignedNote,
  key: NoteKey,
  crypto: NoteCrypto,
): NoteVerdict | undefined {
  const id = noteKeyId(key, crypto.sha256);
  for (const { name, keyId, signature } of note.signatures) {
    if (name !== key.name || !equalBytes(keyId, id)) continue;
    const verdict = verifyOne(note.text, key, signature, crypto.verify);
    if (verdict !== undefined) return verdict;
  }
  return undefined;
}

function verifyOne(
  text: string,
  { algorithm, publicKey }: NoteKey,
  signature: Uint8Array,
  verify: Ed25519Verify,
): NoteVerdict | undefined {
  if (algorithm === noteAlgorithms.ed25519) {
    if (signature.length !== ed25519SignatureBytes) return undefined;
    return verify(publicKey, utf8(text), signature) ? { timeMs: undefined } : undefined;
  }
  if (algorithm !== noteAlgorithms.cosignature) return undefined;
  if (signature.length !== 8 + ed25519SignatureBytes) return undefined;
  const seconds = new DataView(signature.slice(0, 8).buffer).getBigUint64(0);
  if (seconds > BigInt(Math.floor(Number.MAX_SAFE_INTEGER / 1_000))) return undefined;
  const message = cosignatureMessage(text, Number(seconds));
  return verify(publicKey, message, signature.slice(8))
    ? { timeMs: Number(seconds) * 1_000 }
    : undefined;
}

/** C2SP tlog-cosignature, cosignature/v1: a witness states when it saw a checkpoint that continues the ones before. */
export function cosignNote(
  text: string,
  by: { readonly key: NoteKey; readonly atMs: number },
  crypto: { readonly sha256: Sha256; readonly sign: Ed25519Sign },
): NoteSignature {
  const seconds = Math.floor(by.atMs / 1_000);
  const time = new Uint8Array(8);
  new DataView(time.buffer).setBigUint64(0, BigInt(seconds));
  const signature = concatBytes(time, crypto.sign(cosignatureMessage(text, seconds)));
  return { name: by.key.name, keyId: noteKeyId(by.key, crypto.sha256), signature };
}

function cosignatureMessage(text: string, seconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
}

import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import process from 'node:process';
import {
  err,
  fromBase64,
  fromHex,
  isJsonObject,
  jsonValueOf,
  ok,
  utf8,
  utf8Text,
} from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { evidenceKind } from '@postern/core/attest';
import type { EvidenceKind } from '@postern/core/attest';

/** A guest agent's largest answer: an attestation of 10 MiB in hex. */
const inputBytesMax = 24 << 20;
const chunkBytes = 65_536;

export interface Evidence {
  readonly kind: EvidenceKind | undefined;
  readonly bytes: Uint8Array;
}

/** The bytes of a file, or of standard input for `-` and for no name. */
export async function readInput(file: string | undefined): Promise<Result<Uint8Array, string>> {
  if (file === undefined || file === '-') return readStandardInput();
  try {
    const handle = await open(file, 'r');
    try {
      return await readBounded(handle, file);
    } finally {
      await handle.close();
    }
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    return err(`${file}: ${why}`);
  }
}

/** Reads to the end, since a pipe states no size, and stops at the bound. */
async function readBounded(handle: FileHandle, file: string): Promise<Result<Uint8Array, string>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { bytesRead, buffer } = await handle.read(new Uint8Array(chunkBytes));
    if (bytesRead === 0) return ok(new Uint8Array(Buffer.concat(pieces)));
    length += bytesRead;
    if (length > inputBytesMax) return err(`${file}: more than ${inputBytesMax} bytes`);
    pieces.push(buffer.subarray(0, bytesRead));
  }
}

async function readStandardInput(): Promise<Result<Uint8Array, string>> {
  if (process.stdin.isTTY) {
    return err('There is no evidence: name a file, or pipe it to standard input.');
  }
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of process.stdin) {
    const bytes = Buffer.from(piece);
    length += bytes.length;
    if (length > inputBytesMax) return err(`standard input: more than ${inputBytesMax} bytes`);
    pieces.push(bytes);
  }
  return ok(new Uint8Array(Buffer.concat(pieces)));
}

/** Evidence as people have it: the bytes themselves, hex, base64, PEM, or the JSON of a guest agent. */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const text = printableText(bytes);
  if (text === undefined) return { kind: evidenceKind(bytes), bytes };
  if (text.startsWith('{')) return fromJson(text) ?? { kind: evidenceKind(bytes), bytes };
  const compact = text.replaceAll(/\s/g, '');
  const inner = fromHex(compact.replace(/^0x/i, '')) ?? fromBase64(padded(compact));
  if (inner !== undefined && inner.length > 0) {
    const kind = evidenceKind(inner);
    // Base64 may be around hex or PEM, as secrets stores keep it; one layer is enough.
    if (kind !== undefined) return { kind, bytes: inner };
  }
  return { kind: evidenceKind(bytes), bytes };
}

/** Text of nothing but printable ASCII; binary evidence never is, since it has zero bytes. */
function printableText(bytes: Uint8Array): string | undefined {
  const isText = bytes.every(
    (byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d,
  );
  return isText ? utf8Text(bytes)?.trim() : undefined;
}

function padded(text: string): string {
  const standard = text.replaceAll('-', '+').replaceAll('_', '/').replace(/=+$/, '');
  return standard.padEnd(Math.ceil(standard.length / 4) * 4, '=');
}

/** Answers of a guest agent other than `GetQuote`: `Attest`, and `GetTlsKey` with its chain. */
function fromJson(text: string): Evidence | undefined {
  const value = jsonValueOf(text);
  if (!isJsonObject(value)) return undefined;
  const { attestation, quote, certificate_chain: chain } = value;
  if (typeof attestation === 'string' && quote === undefined) {
    const bytes = fromHex(attestation);
    return bytes === undefined ? undefined : { kind: 'dstack-attestation', bytes };
  }
  const leaf = Array.isArray(chain) ? chain[0] : undefined;
  return typeof leaf === 'string' ? { kind: 'certificate', bytes: utf8(leaf) } : undefined;
}

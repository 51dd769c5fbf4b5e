import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';

/** What a server may say before HTTP/2 begins: `ff ff ff 54 53 | u32be length | JSON`. */
const magic = Uint8Array.of(0xff, 0xff, 0xff, 0x54, 0x53);
const headerBytes = magic.length + 4;
/** Clients accept 10 MiB; what we know of has a hundred bytes. */
const payloadBytesMax = 65_536;

export function earlyPayload(content: { readonly nodeKeyChallenge: string }): Uint8Array {
  const text = Buffer.from(JSON.stringify(content), 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length, 0);
  return concatBytes(magic, length, text);
}

/**
 * Splits the first bytes that a server sent. `need`: as many bytes must have come before one can say. HTTP/2 answers
 * begin with a SETTINGS frame, whose length never starts with `ff ff ff`.
 */
export function splitEarlyPayload(
  bytes: Uint8Array,
): Result<
  { readonly need: number } | { readonly payload?: string; readonly rest: Uint8Array },
  'too_long'
> {
  const seen = Math.min(bytes.length, magic.length);
  for (let i = 0; i < seen; i += 1) if (bytes[i] !== magic[i]) return ok({ rest: bytes });
  if (bytes.length < headerBytes) return ok({ need: headerBytes });
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = view.readUInt32BE(magic.length);
  if (length > payloadBytesMax) return err('too_long');
  const end = headerBytes + length;
  if (bytes.length < end) return ok({ need: end });
  return ok({ payload: view.toString('utf8', headerBytes, end), rest: bytes.subarray(end) });
}

import { createHash } from 'node:crypto';
import { keccak256 } from './keccak.ts';

/** The hash functions of core's crypto port, by OpenSSL where it has them. */
export interface Hashes {
  sha256(bytes: Uint8Array): Uint8Array;
  sha384(bytes: Uint8Array): Uint8Array;
  sha512(bytes: Uint8Array): Uint8Array;
  keccak256(bytes: Uint8Array): Uint8Array;
}

export const nodeHashes: Hashes = {
  sha256: (bytes) => plain(createHash('sha256').update(bytes).digest()),
  sha384: (bytes) => plain(createHash('sha384').update(bytes).digest()),
  sha512: (bytes) => plain(createHash('sha512').update(bytes).digest()),
  keccak256,
};

/** A Uint8Array view: core never sees a Buffer, whose methods of the same name behave differently. */
function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

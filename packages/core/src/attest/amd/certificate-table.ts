import { ByteCursor, malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';

/** Chip or cloud key, ASK, ARK, revocation list, and what a host adds. */
const entriesMax = 16;
const tableBytesMax = 131_072;
const guidBytes = 16;

/**
 * The certificates of a GHCB extended-request table (AMD publication 56421, section 4.1.8.1): entries of GUID, offset
 * and length, ended by a zero entry, then the blobs. Tools disagree about the byte order of the GUIDs, so
 * entries are told apart by what they hold: whatever is neither DER nor PEM is not a certificate.
 */
export function readCertificateTable(bytes: Uint8Array): Result<Uint8Array[], Malformed> {
  return reading(() => {
    if (bytes.length > tableBytesMax) malformed(`table of more than ${tableBytesMax} bytes`);
    const cursor = new ByteCursor(bytes);
    const blobs: Uint8Array[] = [];
    for (let entry = 0; entry <= entriesMax; entry += 1) {
      const guid = cursor.take(guidBytes, 'GUID');
      const offset = cursor.u32le('offset');
      const length = cursor.u32le('length');
      if (guid.every((byte) => byte === 0)) return blobs.filter(isCertificate);
      if (offset + length > bytes.length) cursor.fail('entry outside of the table');
      blobs.push(bytes.subarray(offset, offset + length));
    }
    return cursor.fail(`more than ${entriesMax} entries`);
  });
}

const derSequence = 0x30;
const pemDash = 0x2d;

/** True for bytes that can only be a certificate or a bundle of them, and not a table. */
export function isCertificate(bytes: Uint8Array): boolean {
  const [first, second] = bytes;
  return (first === derSequence && second === 0x82) || (first === pemDash && second === pemDash);
}

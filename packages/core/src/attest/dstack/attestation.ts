import type { Malformed } from '../../base/cursor/index.ts';
import { err } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { DstackAttestation } from './form.ts';
import { parseScaleAttestation } from './scale-form.ts';
import { parseMsgpackAttestation } from './msgpack-form.ts';

/** dstack's own bound on encoded attestations. */
export const attestationBytesMax = 10 << 20;
export const reportDataBytes = 64;

/** Reads either form by its first byte: zero is SCALE (V0), a MessagePack map is V1. */
export function parseDstackAttestation(bytes: Uint8Array): Result<DstackAttestation, Malformed> {
  if (bytes.length > attestationBytesMax) {
    return err({ what: `more than ${attestationBytesMax} bytes`, offset: 0 });
  }
  const first = bytes[0];
  if (first === 0) return parseScaleAttestation(bytes);
  const isMap =
    first !== undefined && ((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf);
  return isMap ? parseMsgpackAttestation(bytes) : err({ what: 'unknown form', offset: 0 });
}

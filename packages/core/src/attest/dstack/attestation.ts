import type { Malformed } from '../../base/cursor/index.ts';
import { err } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import type { LogEvent, RuntimeEvent } from './event.ts';
import { parseScaleAttestation } from './scale-form.ts';
import { parseMsgpackAttestation } from './msgpack-form.ts';

/** dstack's versioned attestation in one shape, whichever of the two wire forms it came in. */
export interface DstackAttestation {
  readonly platform: DstackPlatform;
  /** Events that the guest claims to have measured; what they prove depends on the platform. */
  readonly runtimeEvents: readonly RuntimeEvent[];
  /** The wrapper's copy of the report data, 64 bytes. Only the one inside the evidence counts. */
  readonly reportData: Uint8Array;
  /** Host-supplied configuration, JSON text. Believed only where the hardware signed a hash of it. */
  readonly config: string;
  /** Of `dstack-pod`: what the report data is the hash of. */
  readonly reportDataPayload: string | undefined;
}

export type DstackPlatform =
  | { readonly kind: 'tdx'; readonly quote: Uint8Array; readonly eventLog: readonly LogEvent[] }
  | {
      readonly kind: 'sev-snp';
      readonly report: Uint8Array;
      readonly certificates: readonly Uint8Array[];
      readonly mrConfig: string;
    }
  | { readonly kind: 'nitro'; readonly document: Uint8Array };

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

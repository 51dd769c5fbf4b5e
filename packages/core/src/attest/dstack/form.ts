import type { LogEvent, RuntimeEvent } from './event.ts';

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

import type { Generation } from '@postern/core/attest/x509';
import type { Secret } from '@postern/core/base';

/** As `ca-x509` keeps a generation; adapters do not know each other. */
export interface StoredGeneration extends Generation {
  readonly certificate: Uint8Array;
  /** PKCS#8 in base64. */
  readonly privateKey: Secret;
}

export interface AuthorityStore {
  load(): Promise<readonly StoredGeneration[]>;
  append(generation: StoredGeneration, count: number): Promise<boolean>;
}

import type { CryptoPort } from '@postern/core/attest';
import { verifyEcdsa } from './ecdsa.ts';
import { nodeHashes } from './hashes.ts';
import { verifyRsaPss } from './rsa-pss.ts';

/** Core's attestation port on node:crypto. */
export const nodeCrypto: CryptoPort = { ...nodeHashes, verifyEcdsa, verifyRsaPss };

/** Nitro documents under a hierarchy of our own. */
import { writeCbor } from '@postern/core/base/cbor';
import type { CborKey, CborValue } from '@postern/core/base/cbor';
import { verifyNitroDocument } from '@postern/core/attest';
import type { NitroContext, Verification } from '@postern/core/attest';
import {
  distinguishedName,
  issueCertificate,
  keyUsage,
  SigningKey,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { hourMs, nowMs } from './simulated.ts';

const seed = new Uint8Array(32).fill(3);
const root = {
  name: distinguishedName('aws.nitro-enclaves'),
  key: new SigningKey(seed, 'r', 'P-384'),
};
const leafKey = new SigningKey(seed, 'leaf', 'P-384');
const validity = { notBeforeMs: nowMs - hourMs, notAfterMs: nowMs + hourMs };
const rootDer = issueCertificate(
  {
    ...validity,
    subject: root.name,
    spki: root.key.spki,
    serial: 1,
    authority: {},
    usages: [keyUsage.keyCertSign],
  },
  root,
);
const leafDer = issueCertificate(
  {
    ...validity,
    subject: distinguishedName('i-1-enc2'),
    spki: leafKey.spki,
    serial: 2,
    usages: [keyUsage.digitalSignature],
  },
  root,
);

/** The leaf's key in a certificate of an authority. */
export const authorityDer: Uint8Array = issueCertificate(
  {
    ...validity,
    subject: distinguishedName('authority'),
    spki: leafKey.spki,
    serial: 3,
    authority: {},
    usages: [keyUsage.keyCertSign, keyUsage.digitalSignature],
  },
  root,
);

export const pins: ReadonlySet<string> = new Set([
  Buffer.from(nodeCrypto.sha256(rootDer)).toString('hex'),
]);

export interface DocumentOptions {
  readonly fields?: Readonly<Record<string, CborValue>>;
  readonly header?: CborValue;
  readonly unprotected?: CborValue;
  /** Replaces the signature. */
  readonly signature?: Uint8Array;
}

export const pcrs: ReadonlyMap<CborKey, CborValue> = new Map(
  [0, 1, 2, 3].map((index) => [index, new Uint8Array(48).fill(index + 1)]),
);

/** A signed document, by default one that is accepted. */
export function documentOf(options: DocumentOptions = {}): Uint8Array {
  const payload = writeCbor(
    new Map<CborKey, CborValue>(
      Object.entries({
        module_id: 'i-0123456789abcdef0-enc0123456789abcdef',
        digest: 'SHA384',
        timestamp: nowMs,
        pcrs,
        certificate: leafDer,
        cabundle: [rootDer],
        public_key: null,
        user_data: new Uint8Array(64).fill(5),
        nonce: null,
        ...options.fields,
      }),
    ),
  );
  const header = writeCbor(options.header ?? new Map([[1, -35]]));
  const message = writeCbor(['Signature1', header, new Uint8Array(), payload]);
  const signature = options.signature ?? leafKey.signRaw(message);
  return writeCbor([header, options.unprotected ?? new Map(), payload, signature]);
}

export function verifyDocument(
  document: Uint8Array,
  changes: Partial<NitroContext> = {},
): Verification {
  return verifyNitroDocument(document, { crypto: nodeCrypto, pins, nowMs, ...changes });
}

import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { der, writePem } from '@postern/core/base/der';
import { addrBytes, parseAddr } from '@postern/core/base/netip';
import { protocolVersion } from './frame.ts';

/** Certificates of a relay without a certificate authority: clients pin one by its hash in the relay map. */

export interface PinnedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  /** What `CertName` of the relay's node in the map must say. */
  readonly certName: string;
}

const day = 86_400_000;
/** The pin travels with the map, so that a new certificate reaches clients as any change does. */
const pinnedLifeMs = 5 * 365 * day;
const metaLifeMs = 30 * day;
/** Clients' clocks may be behind ours. */
const earlierMs = 2 * day;

const ecdsaSha256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));
const ed25519 = der.sequence(der.oid('1.3.101.112'));

/** A self-signed certificate for one host name or address, with a P-256 key. */
export function createPinnedCertificate(options: {
  readonly host: string;
  readonly nowMs: number;
  readonly randomBytes: (length: number) => Uint8Array;
}): PinnedCertificate {
  const { host, nowMs, randomBytes } = options;
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serial = randomBytes(16);
  serial[0] = (serial[0] ?? 0) & 0x7f;
  const certificate = signCertificate({
    serial: der.unsignedInteger(serial),
    commonName: host,
    fromMs: nowMs - earlierMs,
    untilMs: nowMs + pinnedLifeMs,
    publicKey,
    privateKey,
    algorithm: ecdsaSha256,
    extensions: [
      extension('2.5.29.17', der.sequence(subjectName(host))),
      extension('2.5.29.19', der.sequence()),
    ],
  });
  return {
    certificatePem: writePem({ label: 'CERTIFICATE', bytes: certificate }),
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    certName: pinnedCertName(certificate),
  };
}

/** The pin of a certificate in DER: `sha256-raw:` and the hash of all its bytes. */
export function pinnedCertName(certificate: Uint8Array): string {
  return `sha256-raw:${createHash('sha256').update(certificate).digest('hex')}`;
}

/**
 * The certificate that stands behind the real one and carries the relay's key: a client that sees it speaks DERP at
 * once, without waiting for an answer to its HTTP request. It authenticates nothing.
 */
export function createMetaCertificate(relayPublicKey: string, nowMs: number): string {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const certificate = signCertificate({
    serial: der.integer(protocolVersion),
    commonName: `derpkey${relayPublicKey}`,
    fromMs: nowMs - metaLifeMs,
    untilMs: nowMs + pinnedLifeMs,
    publicKey,
    privateKey,
    algorithm: ed25519,
    extensions: [extension('2.5.29.19', der.sequence())],
  });
  return writePem({ label: 'CERTIFICATE', bytes: certificate });
}

interface Content {
  readonly serial: Uint8Array;
  readonly commonName: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
  readonly algorithm: Uint8Array;
  readonly extensions: readonly Uint8Array[];
}

function signCertificate(content: Content): Uint8Array {
  const attribute = der.sequence(der.oid('2.5.4.3'), der.utf8String(content.commonName));
  const name = der.sequence(der.setOf(attribute));
  const signed = der.sequence(
    der.explicit(0, der.integer(2)),
    content.serial,
    content.algorithm,
    name,
    der.sequence(der.time(content.fromMs), der.time(content.untilMs)),
    name,
    new Uint8Array(content.publicKey.export({ format: 'der', type: 'spki' })),
    der.explicit(3, der.sequence(...content.extensions)),
  );
  const digest = content.privateKey.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  const signature = new Uint8Array(sign(digest, signed, content.privateKey));
  return der.sequence(signed, content.algorithm, der.bitString(signature));
}

function extension(id: string, value: Uint8Array): Uint8Array {
  return der.sequence(der.oid(id), der.octetString(value));
}

/** A GeneralName: an address, else a DNS name (RFC 5280, 4.2.1.6). */
function subjectName(host: string): Uint8Array {
  const addr = parseAddr(host);
  return addr.ok
    ? der.implicit(7, der.octetString(addrBytes(addr.value)))
    : der.implicit(2, der.ia5String(host));
}

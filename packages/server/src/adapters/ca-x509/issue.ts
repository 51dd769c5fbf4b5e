import { webcrypto } from 'node:crypto';
import type { LeafIdentity, SpiffeId } from '@postern/core/attest/x509';
import { toHex } from '@postern/core/base';
import * as x509 from '@peculiar/x509';

/** Node's declaration of a Web Crypto key; the platform's global name is not declared here. */
export type SigningKey = webcrypto.CryptoKey;

/** What every generation signs with; peers check it with `ecdsa-with-SHA256`. */
export const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

x509.cryptoProvider.set(webcrypto);

export interface Validity {
  /** Epoch milliseconds at whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** 16 random octets, positive and without a leading zero octet. */
function randomSerialHex(): string {
  const octets = webcrypto.getRandomValues(new Uint8Array(16));
  octets[0] = ((octets[0] ?? 0) & 0x3f) | 0x40;
  return toHex(octets);
}

function validityDates(validity: Validity): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(validity.notBefore), notAfter: new Date(validity.notAfter) };
}

export interface NewAuthority {
  readonly certificate: Uint8Array;
  /** PKCS#8 in DER. */
  readonly privateKey: Uint8Array;
}

/** A self-signed authority of a trust domain that may issue leaves only. */
export async function makeAuthority(
  trustDomain: SpiffeId,
  validity: Validity,
): Promise<NewAuthority> {
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  // A sum of flags is a value of the flag type, which the declaration of the enum does not say.
  const usage = (x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign) as x509.KeyUsageFlags;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerialHex(),
    name: [{ O: ['Postern'] }, { CN: [`mesh authority of ${trustDomain.trustDomain}`] }],
    ...validityDates(validity),
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(usage, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: trustDomain.uri }]),
    ],
  });
  return {
    certificate: new Uint8Array(certificate.rawData),
    privateKey: new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)),
  };
}

/** A private key as the library signs with it; it cannot be exported again. */
export async function importSigningKey(privateKey: Uint8Array): Promise<SigningKey> {
  return webcrypto.subtle.importKey('pkcs8', Uint8Array.from(privateKey), signingAlgorithm, false, [
    'sign',
  ]);
}

/** A leaf for a key and an identity; nothing else goes in. */
export async function makeLeaf(input: {
  readonly identity: LeafIdentity;
  readonly spki: Uint8Array;
  readonly authority: Uint8Array;
  readonly signingKey: SigningKey;
  readonly validity: Validity;
}): Promise<{ readonly certificate: Uint8Array; readonly serialHex: string }> {
  const { identity, signingKey } = input;
  const authority = new x509.X509Certificate(Uint8Array.from(input.authority));
  const publicKey = new x509.PublicKey(Uint8Array.from(input.spki));
  const serialHex = randomSerialHex();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialHex,
    issuer: authority.subject,
    ...validityDates(input.validity),
    publicKey,
    signingKey,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      // Critical, because the subject is empty (RFC 5280 4.2.1.6).
      new x509.SubjectAlternativeNameExtension(
        [
          { type: 'url', value: identity.spiffeId.uri },
          ...identity.dnsNames.map((value) => ({ type: 'dns' as const, value })),
        ],
        true,
      ),
    ],
  });
  return { certificate: new Uint8Array(certificate.rawData), serialHex };
}

/** Certificates for tests, made when they run: keys in files age and alarm secret scanners. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { der, writePem } from '@postern/core/base/der';
import { parseAddr, addrBytes } from '@postern/core/base/netip';

export interface TestCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly name: string;
  readonly key: KeyObject;
}

export interface CertificateOptions {
  /** Common name of the subject. */
  readonly name: string;
  /** DNS names and addresses; none for an authority. */
  readonly subjects: readonly string[];
  /** Self-signed where there is none. */
  readonly issuer?: TestCertificate;
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

const dayMs = 86_400_000;
const ecdsaWithSha256 = der.sequence(der.oid('1.2.840.10045.4.3.2'));

export function makeCertificate(options: CertificateOptions): TestCertificate {
  const { name, issuer } = options;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const notBeforeMs = options.notBeforeMs ?? Date.now() - dayMs;
  const notAfterMs = options.notAfterMs ?? Date.now() + dayMs;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const serial = BigInt(`0x${createHash('sha256').update(spki).digest('hex').slice(0, 30)}`);
  const body = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(serial),
    ecdsaWithSha256,
    nameOf(issuer?.name ?? name),
    der.sequence(der.time(notBeforeMs), der.time(notAfterMs)),
    nameOf(name),
    spki,
    der.explicit(3, der.sequence(...extensions(options))),
  );
  const signature = sign('sha256', body, issuer?.key ?? privateKey);
  const whole = der.sequence(body, ecdsaWithSha256, der.bitString(signature));
  return {
    certificatePem: writePem({ label: 'CERTIFICATE', bytes: whole }),
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
    key: privateKey,
  };
}

function nameOf(commonName: string): Uint8Array {
  const attribute = der.sequence(der.oid('2.5.4.3'), der.utf8String(commonName));
  return der.sequence(der.setOf(attribute));
}

function extensions(options: CertificateOptions): readonly Uint8Array[] {
  const isAuthority = options.issuer === undefined;
  const constraints = der.sequence(...(isAuthority ? [der.boolean(true)] : []));
  const list = [extension('2.5.29.19', constraints, true)];
  if (options.subjects.length > 0) {
    list.push(extension('2.5.29.17', der.sequence(...options.subjects.map(generalName)), false));
  }
  return list;
}

function extension(identifier: string, value: Uint8Array, critical: boolean): Uint8Array {
  const flag = critical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(identifier), ...flag, der.octetString(value));
}

function generalName(text: string): Uint8Array {
  const address = parseAddr(text);
  return address.ok
    ? der.element(0x87, addrBytes(address.value))
    : der.element(0x82, Buffer.from(text, 'ascii'));
}

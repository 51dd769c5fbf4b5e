import { createHash } from 'node:crypto';
import { concatBytes } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import type { SigningKey } from './signing-key.ts';

export interface Extension {
  readonly oid: string;
  readonly critical?: boolean;
  readonly value: Uint8Array;
}

/** Bits of KeyUsage. */
export const keyUsage = { digitalSignature: 0, keyCertSign: 5, cRLSign: 6 } as const;

export interface CertificateRequest {
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly serial: number;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Present in authorities. */
  readonly authority?: { readonly pathLength?: number };
  readonly usages: readonly number[];
  readonly extensions?: readonly Extension[];
}

export interface Issuer {
  readonly name: Uint8Array;
  readonly key: SigningKey;
}

/** A Name with a common name, and an organization where one is given. */
export function distinguishedName(commonName: string, organization?: string): Uint8Array {
  const pair = (oid: string, text: string): Uint8Array =>
    der.setOf(der.sequence(der.oid(oid), der.utf8String(text)));
  const names = [pair('2.5.4.3', commonName)];
  if (organization !== undefined) names.unshift(pair('2.5.4.10', organization));
  return der.sequence(...names);
}

/** Issues a version 3 certificate (RFC 5280 section 4.1). */
export function issueCertificate(request: CertificateRequest, issuer: Issuer): Uint8Array {
  const { authority, usages, notBeforeMs, notAfterMs } = request;
  const extensions: Extension[] = [
    { oid: '2.5.29.15', critical: true, value: der.namedBits(...usages) },
    { oid: '2.5.29.35', value: der.sequence(implicitKeyId(issuer.key.spki)) },
    { oid: '2.5.29.14', value: der.octetString(keyId(request.spki)) },
  ];
  if (authority !== undefined) {
    const { pathLength } = authority;
    const bound = pathLength === undefined ? [] : [der.integer(pathLength)];
    const value = der.sequence(der.boolean(true), ...bound);
    extensions.push({ oid: '2.5.29.19', critical: true, value });
  }
  extensions.push(...(request.extensions ?? []));
  const tbs = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(request.serial),
    issuer.key.algorithm,
    issuer.name,
    der.sequence(der.time(notBeforeMs), der.time(notAfterMs)),
    request.subject,
    request.spki,
    der.explicit(3, der.sequence(...extensions.map(writeExtension))),
  );
  return signed(tbs, issuer.key);
}

export interface ListRequest {
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revokedSerials: readonly number[];
}

/** Issues a version 2 revocation list (RFC 5280 section 5.1). */
export function issueList(request: ListRequest, issuer: Issuer): Uint8Array {
  const { thisUpdateMs, nextUpdateMs, revokedSerials } = request;
  const entries = revokedSerials.map((serial) =>
    der.sequence(der.integer(serial), der.time(thisUpdateMs)),
  );
  const number = { oid: '2.5.29.20', value: der.integer(1) };
  const tbs = der.sequence(
    der.integer(1),
    issuer.key.algorithm,
    issuer.name,
    der.time(thisUpdateMs),
    der.time(nextUpdateMs),
    ...(entries.length === 0 ? [] : [der.sequence(...entries)]),
    der.explicit(0, der.sequence(writeExtension(number))),
  );
  return signed(tbs, issuer.key);
}

function signed(tbs: Uint8Array, key: SigningKey): Uint8Array {
  return der.sequence(tbs, key.algorithm, der.bitString(key.signDer(tbs)));
}

function writeExtension({ oid, critical, value }: Extension): Uint8Array {
  const flag = critical === true ? [der.boolean(true)] : [];
  return der.sequence(der.oid(oid), ...flag, der.octetString(value));
}

function keyId(spki: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spki).digest()).slice(0, 20);
}

function implicitKeyId(spki: Uint8Array): Uint8Array {
  return der.implicit(0, der.octetString(keyId(spki)));
}

/** PEM blocks of certificates, one after the other. */
export function pemOf(label: string, ...ders: readonly Uint8Array[]): string {
  return ders
    .map((bytes) => {
      const lines =
        Buffer.from(bytes)
          .toString('base64')
          .match(/.{1,64}/g) ?? [];
      return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
    })
    .join('');
}

export function u16le(value: number): Uint8Array {
  return Uint8Array.of(value & 255, value >> 8);
}

export function u32le(value: number): Uint8Array {
  return concatBytes(u16le(value & 0xffff), u16le(value >>> 16));
}

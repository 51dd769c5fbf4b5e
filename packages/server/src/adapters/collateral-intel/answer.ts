import { err, fromHex, ok, toHex, utf8Text } from '@postern/core/base';
import type { Result } from '@postern/core/base';
import { readPem } from '@postern/core/base/der';
import { readJson, topLevelMembers } from '@postern/core/base/json';
import type { JsonLimits } from '@postern/core/base/json';
import { finding } from '@postern/core/attest';
import type { Finding } from '@postern/core/attest';

/** A list of 100,000 revoked platforms is some 3.5 MB of DER, twice that in hex. */
export const listBytesMax: number = 8 << 20;
/** The largest published statement is below 20 kB. */
export const statementBytesMax: number = 262_144;
/** Two certificates are 2 kB of PEM; percent-encoding makes it three times as long at most. */
const chainHeaderMax = 16_384;

const statementLimits: JsonLimits = {
  bytesMax: statementBytesMax,
  depthMax: 16,
  keysPerObjectMax: 64,
  valuesMax: 65_536,
  stringBytesMax: 65_536,
  numberCharsMax: 24,
  duplicateKeys: 'refuse',
};

/** What Intel signed, as text, with its signature. */
export interface SignedStatement {
  readonly text: string;
  /** Hex of r then s. */
  readonly signature: string;
}

/**
 * The statement in an answer such as `{"tcbInfo":{…},"signature":"…"}`, cut out byte for byte: the signature is
 * over this very text, and writing it anew would change it.
 */
export function readStatement(bytes: Uint8Array, member: string): Result<SignedStatement, Finding> {
  const json = readJson(bytes, statementLimits);
  if (!json.ok) return malformed(`${member}: ${json.error.message}`);
  const text = utf8Text(bytes);
  const isObject = typeof json.value === 'object' && json.value !== null;
  if (text === undefined || !isObject || Array.isArray(json.value)) return malformed(member);
  const signature: unknown = Reflect.get(json.value, 'signature');
  const found = topLevelMembers(text).find(({ name }) => name === member);
  if (found === undefined || typeof signature !== 'string') {
    return malformed(`no ${member} with a signature`);
  }
  return ok({ text: text.slice(found.valueStart, found.valueEnd), signature });
}

/** A revocation list as hex of its DER. Intel answers DER; caching services answer DER, hex or PEM. */
export function readList(bytes: Uint8Array, name: string): Result<string, Finding> {
  if (bytes[0] === 0x30 && bytes[1] !== undefined && bytes[1] >= 0x80) return ok(toHex(bytes));
  const text = utf8Text(bytes)?.trim();
  if (text === undefined || text === '') return malformed(`${name} is no revocation list`);
  if (text.startsWith('-----BEGIN')) {
    const blocks = readPem(`${text}\n`);
    const list = blocks.ok ? blocks.value.find(({ label }) => label === 'X509 CRL') : undefined;
    return list === undefined ? malformed(`${name}: no list in the PEM`) : ok(toHex(list.bytes));
  }
  const der = fromHex(text.replace(/^"(.*)"$/, '$1'));
  return der === undefined || der.length === 0
    ? malformed(`${name} is no revocation list`)
    : ok(toHex(der));
}

/** The certificates of an issuer, from the header in which they come percent-encoded. */
export function readChainHeader(
  headers: Readonly<Record<string, string>>,
  names: readonly string[],
): Result<string, Finding> {
  const value = names.map((name) => headers[name]).find((each) => each !== undefined);
  if (value === undefined) return malformed(`no header ${names.join(' or ')}`);
  if (value.length > chainHeaderMax) return malformed(`${names.join(' or ')} is too long`);
  try {
    return ok(decodeURIComponent(value));
  } catch {
    return malformed(`${names.join(' or ')} is not percent-encoded`);
  }
}

function malformed(detail: string): Result<never, Finding> {
  return err(finding('collateral_malformed', detail));
}

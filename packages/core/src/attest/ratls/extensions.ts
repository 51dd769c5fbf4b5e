import { toHex, utf8, utf8Text } from '../../base/bytes.ts';
import { decodeDer } from '../../base/der/index.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { VerifierContext } from '../verifier-context.ts';
import type { Certificate } from '../x509/index.ts';
import { dstackOid } from '../x509/index.ts';

/** What dstack put into a certificate. Only the evidence proves anything; the rest are claims. */
export interface RaTlsExtensions {
  readonly evidence: RaTlsEvidence;
  /** Claimed app id (.3), hex. */
  readonly appId: string | undefined;
  /** Claimed use (.4): `app:custom` in leaves, `app:ca`, `kms:rpc`. */
  readonly specialUsage: string | undefined;
  /** Claimed facts (.9), MessagePack. */
  readonly appInfo: Uint8Array | undefined;
}

export type RaTlsEvidence =
  | { readonly form: 'attestation'; readonly bytes: Uint8Array }
  | { readonly form: 'quote-and-log'; readonly quote: Uint8Array; readonly eventLog: Uint8Array };

const gzipPrefix = utf8('ELGZv1');
/** dstack's own bound on an inflated extension value. */
const inflatedBytesMax = 16_384;

/**
 * Reads the extensions of dstack's arc. The newer evidence form (.8) wins; the older one is a quote (.1)
 * that is useless without its event log (.2), since only the log says what the registers mean.
 */
export function readRaTlsExtensions(
  certificate: Certificate,
  { gunzip }: Pick<VerifierContext, 'gunzip'>,
): Result<RaTlsExtensions, Finding> {
  const values: Partial<Record<keyof typeof dstackOid, Uint8Array>> = {};
  for (const [name, oid] of entriesOf(dstackOid)) {
    const extension = certificate.extensions.get(oid);
    if (extension === undefined) continue;
    const value = unwrap(extension.value, gunzip);
    if (value === undefined) return err(finding('malformed_extension', `${name} (${oid})`));
    values[name] = value;
  }
  const evidence = evidenceOf(values);
  if (!evidence.ok) return evidence;
  const { appId, specialUsage, appInfo } = values;
  const usage = specialUsage === undefined ? undefined : utf8Text(specialUsage);
  if (specialUsage !== undefined && usage === undefined) {
    return err(finding('malformed_extension', 'special usage is not UTF-8'));
  }
  if (appId !== undefined && appId.length !== 20) {
    return err(finding('malformed_extension', 'app id is not 20 bytes'));
  }
  const hex = appId === undefined ? undefined : toHex(appId);
  return ok({ evidence: evidence.value, appId: hex, specialUsage: usage, appInfo });
}

function evidenceOf(
  values: Partial<Record<keyof typeof dstackOid, Uint8Array>>,
): Result<RaTlsEvidence, Finding> {
  const { attestation, quote, eventLog } = values;
  if (attestation !== undefined) return ok({ form: 'attestation', bytes: attestation });
  if (quote === undefined) return err(finding('evidence_missing', ''));
  if (eventLog === undefined)
    return err(finding('evidence_missing', 'a quote without its event log'));
  return ok({ form: 'quote-and-log', quote, eventLog });
}

/** The value inside the extension: a DER OCTET STRING of exactly the extension's length. */
function unwrap(value: Uint8Array, gunzip: VerifierContext['gunzip']): Uint8Array | undefined {
  const inner = decodeDer(value, (root) => root.octetString());
  if (!inner.ok) return undefined;
  const isPacked = gzipPrefix.every((byte, index) => inner.value[index] === byte);
  if (!isPacked) return inner.value;
  return gunzip?.(inner.value.subarray(gzipPrefix.length), inflatedBytesMax);
}

function entriesOf<K extends string>(table: Readonly<Record<K, string>>): [K, string][] {
  // Object.entries widens the keys of a closed table to string.
  return Object.entries(table) as [K, string][];
}

import { fromBase64, isJsonObject, toBase64, toHex, utf8 } from '../../base/index.ts';
import type { JsonObject, JsonValue } from '../../base/index.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';

/** Where certificates are asked for, on the control listener. */
export const enrolmentPath = '/api/mesh/certificates';

/** A first request comes with a join token; it registers the key that proves every later one. */
export interface JoinRequest {
  readonly kind: 'join';
  /** 40 hex digits, lower case. */
  readonly app: string;
  /** Raw Ed25519 key of 32 bytes. It signs renewals and nothing else. */
  readonly renewalKey: Uint8Array;
  /** PKCS#10 in DER. */
  readonly csr: Uint8Array;
  /** Epoch ms by the machine's clock. */
  readonly atMs: number;
  /** Ed25519 over `enrolmentText`. */
  readonly proof: Uint8Array;
}

export interface RenewRequest {
  readonly kind: 'renew';
  /** The instance that the authority named at the first request, 40 hex digits. */
  readonly instance: string;
  readonly csr: Uint8Array;
  readonly atMs: number;
  readonly proof: Uint8Array;
}

export type EnrolmentRequest = JoinRequest | RenewRequest;

const csrBytesMax = 16_384;
const renewalKeyBytes = 32;
const proofBytes = 64;
const idPattern = /^[0-9a-f]{40}$/;

/** What a proof signs. */
export function enrolmentText(
  request: { readonly kind: 'join' | 'renew'; readonly whom: string; readonly atMs: number },
  csrSha256: Uint8Array,
): Uint8Array {
  const { kind, whom, atMs } = request;
  return utf8(`postern-mesh-enrolment-v1\n${kind}\n${whom}\n${atMs}\n${toHex(csrSha256)}\n`);
}

/** The JSON of a request. */
export function enrolmentDocument(request: EnrolmentRequest): JsonObject {
  const { csr, atMs, proof } = request;
  const shared = { csr: toBase64(csr), at: atMs, proof: toBase64(proof) };
  return request.kind === 'join'
    ? { app: request.app, renewal_key: toBase64(request.renewalKey), ...shared }
    : { instance: request.instance, ...shared };
}

/** Reads the JSON of a request; a text names what is wrong. */
export function readEnrolment(value: JsonValue): Result<EnrolmentRequest, string> {
  if (!isJsonObject(value)) return err('not an object');
  const { app, instance, renewal_key: key, csr, at, proof, ...unknown } = value;
  const [extra] = Object.keys(unknown);
  if (extra !== undefined) return err(`unknown field ${extra}`);
  const request = bytesOf(csr, 1, csrBytesMax);
  if (request === undefined) return err('csr is not base64 of a request');
  if (typeof at !== 'number' || !Number.isSafeInteger(at) || at < 0) return err('at is no time');
  const signed = bytesOf(proof, proofBytes, proofBytes);
  if (signed === undefined) return err('proof is not a signature in base64');
  const shared = { csr: request, atMs: at, proof: signed };
  if (instance !== undefined) {
    if (app !== undefined || key !== undefined) return err('a renewal names its instance alone');
    if (typeof instance !== 'string' || !idPattern.test(instance)) return err('instance');
    return ok({ kind: 'renew', instance, ...shared });
  }
  if (typeof app !== 'string' || !idPattern.test(app)) return err('app is not 40 hex digits');
  const renewalKey = bytesOf(key, renewalKeyBytes, renewalKeyBytes);
  if (renewalKey === undefined) return err('renewal_key is not a key of 32 bytes in base64');
  return ok({ kind: 'join', app, renewalKey, ...shared });
}

function bytesOf(value: unknown, least: number, most: number): Uint8Array | undefined {
  if (typeof value !== 'string' || value.length > 2 * most + 8) return undefined;
  const bytes = fromBase64(value);
  return bytes !== undefined && bytes.length >= least && bytes.length <= most ? bytes : undefined;
}

/** What the authority answers. */
export interface EnrolmentAnswer {
  readonly app: string;
  readonly instance: string;
  readonly trustDomain: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** The bundle of the trust domain, as SPIFFE publishes it. */
  readonly bundle: JsonValue;
}

export function answerDocument(answer: EnrolmentAnswer): JsonObject {
  const { app, instance, trustDomain, chain, bundle } = answer;
  return { app, instance, trust_domain: trustDomain, chain: chain.map(toBase64), bundle };
}

const chainMax = 6;
const certificateBytesMax = 16_384;

export function readAnswer(value: JsonValue): Result<EnrolmentAnswer, string> {
  if (!isJsonObject(value)) return err('not an object');
  const { app, instance, trust_domain: trustDomain, chain: texts, bundle } = value;
  if (typeof app !== 'string' || !idPattern.test(app)) return err('app');
  if (typeof instance !== 'string' || !idPattern.test(instance)) return err('instance');
  if (typeof trustDomain !== 'string' || bundle === undefined) return err('trust_domain or bundle');
  if (!Array.isArray(texts) || texts.length === 0 || texts.length > chainMax) return err('chain');
  const chain: Uint8Array[] = [];
  // Array.isArray leaves `any[]` of what is JSON.
  for (const text of texts as readonly JsonValue[]) {
    const bytes = bytesOf(text, 1, certificateBytesMax);
    if (bytes === undefined) return err('chain is not base64 of certificates');
    chain.push(bytes);
  }
  return ok({ app, instance, trustDomain, chain, bundle });
}

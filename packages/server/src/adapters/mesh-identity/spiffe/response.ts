import { err, ok, type Result, Secret, utf8Text } from '@postern/core/base';
import {
  type Certificate,
  parseCertificate,
  parseSpiffeId,
  type SpiffeBundle,
} from '@postern/core/attest/x509';
import { bytesFields, type ProtoField, readProto } from './protobuf.ts';

/** One identity that the Workload API gives us. */
export interface X509Svid {
  readonly spiffeId: string;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** PKCS#8 in DER, in base64. */
  readonly key: Secret;
  /** Of our own trust domain. */
  readonly bundle: SpiffeBundle;
}

/** All that one message says; the message before it counts for nothing any more. */
export interface X509Update {
  /** The agent's preferred one first; at least one. */
  readonly svids: readonly X509Svid[];
  /** Our own domains and those that they are federated with. */
  readonly bundles: ReadonlyMap<string, SpiffeBundle>;
}

/** The agent's own limit for a message of gRPC. */
export const messageBytesMax = 4_194_304;
const svidsMax = 64;
const domainsMax = 1_024;
const certificatesMax = 256;
const chainMax = 6;

type Read<T> = Result<T, string>;

/** Reads an `X509SVIDResponse` (SPIFFE Workload API 5.2.1). Anything malformed refuses the whole message. */
export function readX509Response(bytes: Uint8Array): Read<X509Update> {
  if (bytes.length > messageBytesMax) return err('larger than 4 MiB');
  const fields = readProto(bytes);
  if (!fields.ok) return err(`not protobuf: ${fields.error}`);
  const svidFields = bytesFields(fields.value, 1);
  const federated = bytesFields(fields.value, 3);
  if (svidFields === undefined || federated === undefined) return err('fields of other types');
  if (svidFields.length === 0 || svidFields.length > svidsMax)
    return err('no identity, or too many');
  if (federated.length > domainsMax) return err('too many trust domains');
  const bundles = new Map<string, SpiffeBundle>();
  for (const entry of federated) {
    const bundle = readFederated(entry);
    if (!bundle.ok) return bundle;
    bundles.set(bundle.value.trustDomain, bundle.value);
  }
  const svids: X509Svid[] = [];
  for (const each of svidFields) {
    const svid = readSvid(each);
    if (!svid.ok) return svid;
    svids.push(svid.value);
    // Nobody federated says who is of our own domain.
    bundles.set(svid.value.bundle.trustDomain, svid.value.bundle);
  }
  return ok({ svids, bundles });
}

function readSvid(bytes: Uint8Array): Read<X509Svid> {
  const fields = readProto(bytes);
  if (!fields.ok) return err(`an identity: ${fields.error}`);
  const [idBytes, chainBytes, keyBytes, bundleBytes] = [1, 2, 3, 4].map((number) =>
    lastOf(fields.value, number),
  );
  const text = idBytes === undefined ? undefined : utf8Text(idBytes);
  const id = text === undefined ? undefined : parseSpiffeId(text);
  if (id === undefined || id.path === '') return err('an identity without a SPIFFE ID');
  if (chainBytes === undefined || keyBytes === undefined) return err(`${id.uri}: no certificate`);
  const chain = splitDer(chainBytes, chainMax);
  if (chain === undefined || chain.length === 0) return err(`${id.uri}: its chain is malformed`);
  const bundle = readBundle(id.trustDomain, bundleBytes ?? new Uint8Array());
  if (!bundle.ok) return bundle;
  const key = new Secret(Buffer.from(keyBytes).toString('base64'));
  return ok({ spiffeId: id.uri, chain, key, bundle: bundle.value });
}

function readFederated(bytes: Uint8Array): Read<SpiffeBundle> {
  const fields = readProto(bytes);
  if (!fields.ok) return err(`a federated bundle: ${fields.error}`);
  const name = lastOf(fields.value, 1);
  const text = name === undefined ? undefined : utf8Text(name);
  // The specification keys it by the ID of the domain; some agents leave the scheme out.
  const uri = text?.startsWith('spiffe://') === true ? text : `spiffe://${text ?? ''}`;
  const id = parseSpiffeId(uri);
  if (id === undefined || id.path !== '') return err('a federated bundle without a trust domain');
  return readBundle(id.trustDomain, lastOf(fields.value, 2) ?? new Uint8Array());
}

/** No certificate at all is a bundle too: everything of that domain is revoked. */
function readBundle(trustDomain: string, bytes: Uint8Array): Read<SpiffeBundle> {
  const ders = splitDer(bytes, certificatesMax);
  if (ders === undefined) return err(`the bundle of ${trustDomain} is malformed`);
  const authorities: Certificate[] = [];
  for (const der of ders) {
    const parsed = parseCertificate(der);
    if (!parsed.ok) return err(`the bundle of ${trustDomain}: ${parsed.error.detail}`);
    authorities.push(parsed.value);
  }
  return ok({ trustDomain, authorities, sequence: undefined, refreshHintMs: undefined });
}

/** Of a field that is not repeated the last one counts. */
function lastOf(fields: readonly ProtoField[], number: number): Uint8Array | undefined {
  return bytesFields(fields, number)?.at(-1);
}

const sequenceTag = 0x30;

/** DER values that stand one after the other; undefined where one is cut off, or there are too many. */
function splitDer(bytes: Uint8Array, most: number): readonly Uint8Array[] | undefined {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes[at] !== sequenceTag || parts.length >= most) return undefined;
    const first = bytes[at + 1] ?? 0;
    const octets = first < 0x80 ? 0 : first & 0x7f;
    if (octets > 3 || first === 0x80) return undefined;
    let length = octets === 0 ? first : 0;
    for (let index = 0; index < octets; index += 1) {
      length = length * 256 + (bytes[at + 2 + index] ?? 0);
    }
    const end = at + 2 + octets + length;
    if (end > bytes.length) return undefined;
    parts.push(bytes.slice(at, end));
    at = end;
  }
  return parts;
}

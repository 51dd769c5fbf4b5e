/** SPIFFE identities in X.509 (X509-SVID) and the bundles that say who may issue them. */
import { fromBase64, ok, type Result, toBase64 } from '../../base/index.ts';
import type { SignatureVerifier } from './algorithm.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { extensionOid, usageOid } from './oid.ts';
import { type CertificatePath, verifyPath } from './path.ts';
import { profiles } from './profile.ts';
import { refuse, type X509Refusal } from './refusal.ts';
import type { RevocationPolicy } from './revocation.ts';
import { isKeyOfJwk, jwkOfKey } from './spki-jwk.ts';

export interface SpiffeId {
  readonly trustDomain: string;
  /** Begins with a slash; empty for a trust domain's own identity. */
  readonly path: string;
  /** The whole URI. */
  readonly uri: string;
}

const idCharactersMax = 2_048;
const trustDomainCharactersMax = 255;

/** Reads a SPIFFE ID (SPIFFE-ID 2): no port, user, query, fragment, percent-encoding or dot segments. */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  if (uri.length > idCharactersMax) return undefined;
  const match = /^spiffe:\/\/([a-z0-9._-]+)((?:\/[A-Za-z0-9._-]+)*)$/.exec(uri);
  const trustDomain = match?.[1];
  const path = match?.[2];
  if (trustDomain === undefined || path === undefined) return undefined;
  if (trustDomain.length > trustDomainCharactersMax) return undefined;
  if (path.split('/').some((segment) => segment === '.' || segment === '..')) return undefined;
  return { trustDomain, path, uri };
}

/** The identity of a leaf by X509-SVID 2, 4.1 and 4.3; the path is not looked at. */
export function svidIdentity(leaf: Certificate): Result<SpiffeId, X509Refusal> {
  const uris = (leaf.subjectAltNames ?? []).filter((name) => name.kind === 'uri');
  const uri = uris[0];
  if (uri === undefined || uris.length !== 1) {
    return refuse('wrong-identity', 'an SVID has exactly one URI name');
  }
  const id = 'value' in uri ? parseSpiffeId(uri.value) : undefined;
  if (id === undefined) return refuse('wrong-identity', 'not a SPIFFE ID');
  if (id.path === '') return refuse('wrong-identity', 'a leaf has a path in its SPIFFE ID');
  if (leaf.extensions.get(extensionOid.keyUsage)?.critical !== true) {
    return refuse('outside-profile', 'key usage of an SVID is critical');
  }
  const usages = leaf.extendedKeyUsage;
  const both = [usageOid.serverAuth, usageOid.clientAuth];
  if (usages !== undefined && !both.every((usage) => usages.includes(usage))) {
    return refuse('wrong-usage', 'an SVID is for servers and clients');
  }
  return ok(id);
}

/** The X.509 authorities of one trust domain. */
export interface SpiffeBundle {
  readonly trustDomain: string;
  readonly authorities: readonly Certificate[];
  /** Grows with every change of the bundle, where the publisher counts. */
  readonly sequence: number | undefined;
  readonly refreshHintMs: number | undefined;
}

const bundleKeysMax = 256;

type Members = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads a parsed bundle document (SPIFFE Trust Domain and Bundle 4): a JWK set whose `x509-svid` keys hold
 * one certificate each. No such key means that every SVID of the domain is revoked. Other uses are skipped.
 */
export function parseSpiffeBundle(
  trustDomain: string,
  document: unknown,
): Result<SpiffeBundle, X509Refusal> {
  if (parseSpiffeId(`spiffe://${trustDomain}`) === undefined) {
    return refuse('malformed', 'not a trust domain');
  }
  const keys = isObject(document) ? document['keys'] : undefined;
  if (!isObject(document) || !Array.isArray(keys)) return refuse('malformed', 'no array of keys');
  if (keys.length > bundleKeysMax) return refuse('too-complex', 'too many keys in a bundle');
  const sequence = count(document['spiffe_sequence']);
  const hintSeconds = count(document['spiffe_refresh_hint']);
  if (sequence === 'bad' || hintSeconds === 'bad') {
    return refuse('malformed', 'sequence and hint are whole numbers');
  }
  const authorities: Certificate[] = [];
  for (const key of keys) {
    if (!isObject(key)) return refuse('malformed', 'a key is no object');
    if (key['use'] !== 'x509-svid') continue;
    const authority = readAuthority(key);
    if (!authority.ok) return authority;
    authorities.push(authority.value);
  }
  return ok({
    trustDomain,
    authorities,
    sequence,
    refreshHintMs: hintSeconds === undefined ? undefined : hintSeconds * 1_000,
  });
}

function count(value: unknown): number | undefined | 'bad' {
  if (value === undefined) return undefined;
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : 'bad';
}

function readAuthority(key: Members): Result<Certificate, X509Refusal> {
  const chain = key['x5c'];
  const text: unknown = Array.isArray(chain) && chain.length === 1 ? chain[0] : undefined;
  const bytes = typeof text === 'string' ? fromBase64(text) : undefined;
  if (bytes === undefined) return refuse('malformed', 'x5c has exactly one certificate');
  const certificate = parseCertificate(bytes);
  if (!certificate.ok) return refuse('malformed', `bundle: ${certificate.error.detail}`);
  if (!isKeyOfJwk(certificate.value.spki, key)) {
    return refuse('malformed', 'the key is not the one of its certificate');
  }
  return certificate;
}

/** The document of a bundle, as `parseSpiffeBundle` reads it; publish it as JSON. */
export function spiffeBundleDocument(
  bundle: Omit<SpiffeBundle, 'trustDomain'>,
): Readonly<Record<string, unknown>> {
  return {
    keys: bundle.authorities.map((authority) => ({
      use: 'x509-svid',
      ...jwkOfKey(authority.spki, authority.publicKey),
      x5c: [toBase64(authority.bytes)],
    })),
    ...(bundle.sequence === undefined ? {} : { spiffe_sequence: bundle.sequence }),
    ...(bundle.refreshHintMs === undefined
      ? {}
      : { spiffe_refresh_hint: Math.floor(bundle.refreshHintMs / 1_000) }),
  };
}

export interface SvidInput {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  /** By trust domain. An authority counts for the domain of its bundle only. */
  readonly bundles: ReadonlyMap<string, SpiffeBundle>;
  /** Epoch milliseconds. */
  readonly at: number;
  /** Object identifier of the role in which the peer uses the certificate. */
  readonly purpose: string;
  readonly revocation?: RevocationPolicy;
}

/** Who the peer is, if its SVID leads to an authority of its own trust domain. */
export function verifySvid(
  input: SvidInput,
  verifier: SignatureVerifier,
): Result<{ readonly id: SpiffeId; readonly path: CertificatePath }, X509Refusal> {
  const id = svidIdentity(input.leaf);
  if (!id.ok) return id;
  const { trustDomain } = id.value;
  const bundle = input.bundles.get(trustDomain);
  if (bundle === undefined) return refuse('no-path', 'no bundle of the trust domain');
  const path = verifyPath(
    {
      leaf: input.leaf,
      intermediates: input.intermediates,
      anchors: bundle.authorities,
      at: input.at,
      profile: profiles.svid,
      purposes: [input.purpose],
      peerNames: [],
      ...(input.revocation === undefined ? {} : { revocation: input.revocation }),
    },
    verifier,
  );
  if (!path.ok) return path;
  const stranger = path.value.slice(1).find((authority) => !isOfDomain(authority, trustDomain));
  if (stranger !== undefined) {
    return refuse('wrong-identity', 'an authority on the path is of another trust domain');
  }
  return ok({ id: id.value, path: path.value });
}

/** An authority need not have a SPIFFE ID; if it has one, it is of the domain (X509-SVID 3.1). */
function isOfDomain(authority: Certificate, trustDomain: string): boolean {
  return (authority.subjectAltNames ?? []).every(
    (name) =>
      name.kind !== 'uri' ||
      !name.value.startsWith('spiffe:') ||
      parseSpiffeId(name.value)?.trustDomain === trustDomain,
  );
}

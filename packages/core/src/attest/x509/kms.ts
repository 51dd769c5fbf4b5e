/**
 * Certificates that dstack's KMS vouches for: root, app authority, leaf. The KMS checked evidence when it
 * signed; the certificate repeats its word, it is no evidence of its own.
 */
import { equalBytes, ok, type Result, toHex, utf8Text } from '../../base/index.ts';
import { type DerError, decodeDer } from '../../base/der/index.ts';
import type { SignatureVerifier } from './algorithm.ts';
import type { Certificate } from './certificate.ts';
import { dstackOid } from './oid.ts';
import { type CertificatePath, verifyPath } from './path.ts';
import { profiles } from './profile.ts';
import { refuse, type X509Refusal } from './refusal.ts';

/** App ids are 20 bytes: the start of a compose hash, or chosen at deployment. */
const appIdBytes = 20;

/**
 * The content of a dstack extension: an OCTET STRING inside of the extension's own. Undefined where the
 * certificate has no such extension.
 */
export function dstackExtension(
  certificate: Certificate,
  oid: string,
): Result<Uint8Array, DerError> | undefined {
  const extension = certificate.extensions.get(oid);
  if (extension === undefined) return undefined;
  return decodeDer(extension.value, (root) => root.octetString());
}

/** The app id that a certificate claims, if it is well formed. */
export function claimedAppId(certificate: Certificate): Uint8Array | undefined {
  const value = dstackExtension(certificate, dstackOid.appId);
  return value?.ok === true && value.value.length === appIdBytes ? value.value : undefined;
}

/** `app:custom` for leaves, `app:ca` for app authorities, `kms:rpc` for the KMS itself. */
export function specialUsage(certificate: Certificate): string | undefined {
  const value = dstackExtension(certificate, dstackOid.specialUsage);
  return value?.ok === true ? utf8Text(value.value) : undefined;
}

export interface KmsInput {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  /** Pinned KMS roots; one that the peer sent is never an anchor. */
  readonly roots: readonly Certificate[];
  /** Epoch milliseconds. */
  readonly at: number;
  readonly purpose: string;
}

export interface KmsIdentity {
  /** 40 hex digits. */
  readonly appId: string;
  readonly path: CertificatePath;
  /** DER SubjectPublicKeyInfo of the root: what an attested key-provider event must name. */
  readonly rootSpki: Uint8Array;
}

/** The app that the KMS vouches for: both certificates below the root say the same app id. */
export function verifyKmsIdentity(
  input: KmsInput,
  verifier: SignatureVerifier,
): Result<KmsIdentity, X509Refusal> {
  const path = verifyPath(
    {
      leaf: input.leaf,
      intermediates: input.intermediates,
      anchors: input.roots,
      at: input.at,
      profile: profiles.kms,
      purposes: [input.purpose],
      peerNames: [],
      // The root's own path length says the same; it is not left to the certificate.
      intermediatesMax: 1,
    },
    verifier,
  );
  if (!path.ok) return path;
  const [leaf, authority, root] = path.value;
  const isThree = path.value.length === 3;
  if (!isThree || leaf === undefined || authority === undefined || root === undefined) {
    return refuse('wrong-identity', 'not issued by an app authority');
  }
  if (specialUsage(authority) !== 'app:ca') {
    return refuse('wrong-identity', 'the authority is not one of apps');
  }
  if (specialUsage(leaf) !== 'app:custom') {
    return refuse('wrong-identity', 'the certificate is not one of an app');
  }
  const [own, issued] = [claimedAppId(leaf), claimedAppId(authority)];
  if (own === undefined || issued === undefined || !equalBytes(own, issued)) {
    return refuse('wrong-identity', 'leaf and authority do not name one app');
  }
  return ok({ appId: toHex(own), path: path.value, rootSpki: root.spki });
}

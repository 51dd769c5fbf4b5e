import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';
import { present } from '@postern/core/base';
import type { PeerIdentity } from './peer-identity.ts';
import { policyName } from './peer.ts';

/** How long a backend may believe an assertion: longer than any queue before it, shorter than anybody needs to replay it. */
export const assertionLifetimeMs = 60_000;
/** Signed again this long before its end; in between, requests of one connection share one. */
const freshMs = 30_000;
/** A key signs for half a day, and its assertions verify until they are over. */
const keyLifetimeMs = 43_200_000;

interface SigningKey {
  readonly id: string;
  readonly key: KeyObject;
  readonly jwk: Readonly<Record<string, unknown>>;
  readonly sinceMs: number;
}

interface Signed {
  readonly text: string;
  readonly renewAtMs: number;
}

/**
 * Says to backends who is calling, in a form that they can check: a JWS (RFC 7515, EdDSA) over the identity that the mesh
 * verified, bound to the service's port. The plain header beside it is for backends that cannot be reached by anybody else.
 */
export class Assertions {
  readonly #nowMs: () => number;
  readonly #issuer: string;
  #keys: readonly SigningKey[] = [];
  readonly #signed = new WeakMap<PeerIdentity, Map<string, Signed>>();

  constructor(options: { readonly nowMs: () => number; readonly issuer: string }) {
    this.#nowMs = options.nowMs;
    this.#issuer = options.issuer;
  }

  /** The assertion about a peer for one service. */
  about(peer: PeerIdentity, port: number): string {
    const nowMs = this.#nowMs();
    const key = this.#keyAt(nowMs);
    const known = this.#signed.get(peer) ?? new Map<string, Signed>();
    this.#signed.set(peer, known);
    const name = `${key.id} ${port}`;
    const before = known.get(name);
    if (before !== undefined && nowMs < before.renewAtMs) return before.text;
    const text = this.#sign(peer, port, key, nowMs);
    known.clear();
    known.set(name, { text, renewAtMs: nowMs + freshMs });
    return text;
  }

  /** The app that an assertion of ours names for a service, while it is good; undefined for every other text. */
  appOf(text: string, port: number): string | undefined {
    const [head, claims, signature, ...more] = text.split('.');
    if (head === undefined || claims === undefined || signature === undefined) return undefined;
    if (more.length > 0 || text.length > assertionCharsMax) return undefined;
    const { kid } = decoded(head);
    const key = this.#keys.find(({ id }) => id === kid);
    if (key === undefined) return undefined;
    const signed = Buffer.from(`${head}.${claims}`);
    const bytes = Buffer.from(signature, 'base64url');
    if (!verify(null, signed, createPublicKey(key.key), bytes)) return undefined;
    const { aud, exp, app_id: app } = decoded(claims);
    const isGood = aud === `port:${port}` && typeof exp === 'number' && this.#nowMs() < exp * 1_000;
    return isGood && typeof app === 'string' ? app : undefined;
  }

  /** The public keys (RFC 7517), newest first. */
  jwks(): { readonly keys: readonly Readonly<Record<string, unknown>>[] } {
    this.#keyAt(this.#nowMs());
    return { keys: this.#keys.map(({ jwk }) => jwk) };
  }

  #sign(peer: PeerIdentity, port: number, { id, key }: SigningKey, nowMs: number): string {
    const issuedAt = Math.floor(nowMs / 1_000);
    const head = { alg: 'EdDSA', typ: 'postern-mesh+jwt', kid: id };
    const claims = {
      iss: this.#issuer,
      sub: policyName(peer),
      aud: `port:${port}`,
      iat: issuedAt,
      nbf: issuedAt - 5,
      exp: issuedAt + assertionLifetimeMs / 1_000,
      jti: randomBytes(12).toString('base64url'),
      verified_by: peer.kind,
      ...(peer.sessionBound === true ? { session_bound: true } : {}),
      ...given('app_id', peer.appId),
      ...given('instance_id', peer.instanceId),
      ...given('device_id', peer.deviceId),
      ...given('compose_hash', peer.composeHash),
      ...given('spiffe_id', peer.spiffeId),
      ...given('platform', peer.platform),
      ...given('tcb_status', peer.tcbStatus),
      // RFC 8705 section 3.1: the certificate with which the peer proved it.
      cnf: { 'x5t#S256': Buffer.from(peer.certificateHash, 'hex').toString('base64url') },
    };
    const signed = `${encoded(head)}.${encoded(claims)}`;
    return `${signed}.${sign(null, Buffer.from(signed), key).toString('base64url')}`;
  }

  #keyAt(nowMs: number): SigningKey {
    const [newest] = this.#keys;
    if (newest !== undefined && nowMs < newest.sinceMs + keyLifetimeMs) return newest;
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    const bare = publicKey.export({ format: 'jwk' });
    const thumb = JSON.stringify({ crv: bare.crv, kty: bare.kty, x: bare.x });
    const id = createHash('sha256').update(thumb).digest('base64url');
    const jwk = { ...bare, kid: id, alg: 'EdDSA', use: 'sig' };
    this.#keys = [{ id, key: privateKey, jwk, sinceMs: nowMs }, ...this.#keys.slice(0, 1)];
    return present(this.#keys[0], 'a key was made');
  }
}

function given(name: string, value: string | undefined): Readonly<Record<string, string>> {
  return value === undefined ? {} : { [name]: value };
}

/** Ours are about 800 characters. */
const assertionCharsMax = 4_096;

function decoded(part: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function encoded(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

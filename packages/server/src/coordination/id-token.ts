import { createECDH, createPrivateKey, hash, hkdfSync, sign, type KeyObject } from 'node:crypto';
import type { KeyPair } from './noise/index.ts';
import { rawPrivate } from './noise/index.ts';

/** A public key as verifiers read it (RFC 7517). */
export interface PublicJwk {
  readonly kty: 'EC';
  readonly crv: 'P-256';
  readonly x: string;
  readonly y: string;
  readonly use: 'sig';
  readonly alg: 'ES256';
  readonly kid: string;
}

/** What is said of a machine; the names are those of `tailcfg.TokenResponse`. */
export interface TokenSubject {
  /** The stable id of the node, never given again: what trust may be bound to. */
  readonly sub: string;
  readonly nid: number;
  /** Its full name now, without a dot at the end. */
  readonly node: string;
  readonly key: string;
  readonly addresses: readonly string[];
  readonly domain: string;
  /** Present where it is tagged: `domain:tag:…`. */
  readonly tags?: readonly string[];
  /** Present where it is a person's: `domain:login`, and the number of the person. */
  readonly user?: string;
  readonly uid?: number;
}

const keyLabel = 'postern id-token es256 v1';
/** Order of the group of P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
/** 128 bits more than the order: what is left of a bias is below 2⁻¹²⁸ (FIPS 186-5, A.2.1). */
const seedBytes = 48;

const claims: readonly string[] =
  'iss sub aud iat nbf exp jti nid node key addresses domain tags user uid'.split(' ');

/** Tokens live for this long, seconds. */
const lifeS = 300;

/**
 * Signs what the network knows of a machine, for programs outside of it (OpenID Connect). The key is derived from the control
 * key: an issuer that machines have known stays the same after a restart, a restore or a takeover.
 */
export class IdTokens {
  readonly #issuer: string;
  readonly #key: KeyObject;
  readonly jwk: PublicJwk;

  constructor(issuer: string, control: KeyPair) {
    const seed = Buffer.from(hkdfSync('sha256', rawPrivate(control), '', keyLabel, seedBytes));
    const scalar = (BigInt(`0x${seed.toString('hex')}`) % (order - 1n)) + 1n;
    const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex');
    const curve = createECDH('prime256v1');
    curve.setPrivateKey(d);
    const point = curve.getPublicKey();
    const x = point.subarray(1, 33).toString('base64url');
    const y = point.subarray(33).toString('base64url');
    this.#key = createPrivateKey({
      format: 'jwk',
      key: { kty: 'EC', crv: 'P-256', x, y, d: d.toString('base64url') },
    });
    // RFC 7638: the members that count, in this order.
    const kid = hash('sha256', JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }), 'base64url');
    this.jwk = { kty: 'EC', crv: 'P-256', x, y, use: 'sig', alg: 'ES256', kid };
    this.#issuer = issuer;
  }

  /** A token for one audience. */
  sign(
    subject: TokenSubject,
    {
      audience,
      nowMs,
      id,
    }: { readonly audience: string; readonly nowMs: number; readonly id: string },
  ): string {
    const nowS = Math.floor(nowMs / 1_000);
    const header = { alg: 'ES256', typ: 'JWT', kid: this.jwk.kid };
    const said = {
      iss: this.#issuer,
      aud: audience,
      iat: nowS,
      nbf: nowS,
      exp: nowS + lifeS,
      jti: id,
      ...subject,
    };
    const text = `${encoded(header)}.${encoded(said)}`;
    const signature = sign('sha256', Buffer.from(text, 'ascii'), {
      key: this.#key,
      dsaEncoding: 'ieee-p1363',
    });
    return `${text}.${signature.toString('base64url')}`;
  }

  /** OpenID Connect Discovery 1.0: enough for whoever verifies tokens and asks for none. */
  get discovery(): object {
    return {
      issuer: this.#issuer,
      jwks_uri: `${this.#issuer}${jwksPath}`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
      claims_supported: claims,
    };
  }
}

export const discoveryPath = '/.well-known/openid-configuration';
export const jwksPath = '/.well-known/jwks.json';

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part), 'utf8').toString('base64url');
}

/**
 * Wycheproof: each test is given to the function that the product calls for the same purpose. `valid` must
 * be accepted, `invalid` refused, `acceptable` may be either. What the product never calls (HMAC and JWE
 * tokens, AES-192, nonces other than 96 bits, raw ECDH, PSS with SHA-1) is skipped by name.
 */
import { readFile } from 'node:fs/promises';
import { parseJwkSet } from '@postern/core/attest/jwk';
import type { SignatureAlgorithm, SignatureHash } from '@postern/core/attest/x509';
import { equalBytes, fromBase64Url, fromHex, present, utf8Text } from '@postern/core/base';
import { z } from 'zod';
import {
  type AeadName,
  aeadOpen,
  aeadSeal,
  hkdf,
  isHmac,
  verifyJws,
  verifySignature,
  x25519SharedSecret,
} from '../../packages/server/src/adapters/crypto-node/index.ts';
import type { CaseResult, Suite } from './suite.ts';

const test = z.looseObject({
  tcId: z.number(),
  comment: z.string().default(''),
  result: z.enum(['valid', 'invalid', 'acceptable']),
});

const group = z.looseObject({ type: z.string(), tests: z.array(test) });

const wycheproofFile = z.looseObject({
  algorithm: z.string().optional(),
  testGroups: z.array(group),
});

type Test = z.infer<typeof test>;
type Group = z.infer<typeof group>;

/** What the product did with a test, or the name of what it never calls. */
type Outcome = { readonly accepted: boolean } | { readonly never: string };

interface Context {
  readonly algorithm: string;
  readonly group: Group;
  readonly test: Test;
}

function text(holder: Readonly<Record<string, unknown>>, field: string): string {
  const value = holder[field];
  if (typeof value !== 'string') throw new Error(`no text field ${field}`);
  return value;
}

function bytes(holder: Readonly<Record<string, unknown>>, field: string): Uint8Array {
  return present(fromHex(text(holder, field)), `hex in ${field}`);
}

const hashes: Readonly<Record<string, SignatureHash>> = {
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
};

function verified(
  { group: of, test: one }: Context,
  algorithm: SignatureAlgorithm,
  encoding: 'der' | 'p1363' = 'der',
): Outcome {
  return {
    accepted: verifySignature({
      spki: bytes(of, 'publicKeyDer'),
      algorithm,
      message: bytes(one, 'msg'),
      signature: bytes(one, 'sig'),
      encoding,
    }),
  };
}

function ecdsa(context: Context, encoding: 'der' | 'p1363'): Outcome {
  const sha = text(context.group, 'sha');
  const hash = hashes[sha];
  if (hash === undefined) return { never: `ECDSA with ${sha}` };
  return verified(context, { kind: 'ecdsa', hash }, encoding);
}

function rsaPss(context: Context): Outcome {
  const { group: of } = context;
  const hash = hashes[text(of, 'sha')];
  if (hash === undefined || of['mgfSha'] !== of['sha'] || of['mgf'] !== 'MGF1') {
    return {
      never: `RSA-PSS with ${String(of['sha'])} and ${String(of['mgf'])} of ${String(of['mgfSha'])}`,
    };
  }
  return verified(context, { kind: 'rsa-pss', hash, saltLengthBytes: Number(of['sLen']) });
}

function rsaPkcs1(context: Context): Outcome {
  const hash = hashes[text(context.group, 'sha')];
  if (hash === undefined) return { never: `RSA PKCS #1 with ${String(context.group['sha'])}` };
  return verified(context, { kind: 'rsa-pkcs1', hash });
}

function aead({ algorithm, group: of, test: one }: Context): Outcome {
  const name =
    algorithm === 'AES-GCM' ? `aes-${String(of['keySize'])}-gcm` : algorithm.toLowerCase();
  const used = (['aes-128-gcm', 'aes-256-gcm', 'chacha20-poly1305'] satisfies AeadName[]).find(
    (known) => known === name,
  );
  if (used === undefined) return { never: name };
  const [key, nonce, associated] = [bytes(one, 'key'), bytes(one, 'iv'), bytes(one, 'aad')];
  // Refusing such a nonce is what makes an invalid test pass; a valid one is outside of what we call.
  if (nonce.length !== 12 && one.result !== 'invalid') {
    return { never: `${name} with a nonce of ${8 * nonce.length} bits` };
  }
  const [ciphertext, tag, plaintext] = [bytes(one, 'ct'), bytes(one, 'tag'), bytes(one, 'msg')];
  const sealed = new Uint8Array([...ciphertext, ...tag]);
  const opened = aeadOpen({ aead: used, key, nonce, associated, sealed });
  if (opened === undefined || !equalBytes(opened, plaintext)) return { accepted: false };
  const again = aeadSeal({ aead: used, key, nonce, associated, plaintext });
  return { accepted: again !== undefined && equalBytes(again, sealed) };
}

function hkdfCase({ algorithm, test: one }: Context): Outcome {
  const hash = hashes[algorithm.replace('HKDF-', '')];
  if (hash === undefined) return { never: algorithm };
  const derived = hkdf({
    hash,
    secret: bytes(one, 'ikm'),
    salt: bytes(one, 'salt'),
    info: bytes(one, 'info'),
    lengthBytes: Number(one['size']),
  });
  return { accepted: derived !== undefined && equalBytes(derived, bytes(one, 'okm')) };
}

function mac({ algorithm, group: of, test: one }: Context): Outcome {
  const hash = ({ HMACSHA256: 'sha256', HMACSHA384: 'sha384', HMACSHA512: 'sha512' } as const)[
    algorithm
  ];
  if (hash === undefined) return { never: algorithm };
  const [key, message, tag] = [bytes(one, 'key'), bytes(one, 'msg'), bytes(one, 'tag')];
  return { accepted: isHmac({ hash, key, message, tag, tagBytes: Number(of['tagSize']) / 8 }) };
}

function x25519({ group: of, test: one }: Context, read: typeof bytes): Outcome {
  if (of['curve'] !== 'curve25519') return { never: `XDH on ${String(of['curve'])}` };
  const secret = x25519SharedSecret(read(one, 'private'), read(one, 'public'));
  return { accepted: secret !== undefined && equalBytes(secret, bytes(one, 'shared')) };
}

/** The raw key of a JWK on curve X25519; anything else is a key of no length, which is refused. */
function okpBytes(holder: Readonly<Record<string, unknown>>, field: string): Uint8Array {
  const jwk = z.looseObject({}).parse(holder[field]);
  if (jwk['kty'] !== 'OKP' || jwk['crv'] !== 'X25519') return new Uint8Array();
  const member = jwk[field === 'private' ? 'd' : 'x'];
  return (typeof member === 'string' ? fromBase64Url(member) : undefined) ?? new Uint8Array();
}

/** Keys of a group: the public half where it is given, as one set. */
function keysOf(of: Group): readonly Readonly<Record<string, unknown>>[] {
  const holder = z.looseObject({}).parse(of['public'] ?? of['private']);
  const keys = holder['keys'] ?? [holder];
  return z.array(z.looseObject({})).parse(keys);
}

function headerAlgorithm(token: unknown): string {
  const head = typeof token === 'string' ? fromBase64Url(token.split('.')[0] ?? '') : undefined;
  try {
    const header: unknown = JSON.parse((head && utf8Text(head)) ?? '{}');
    return String(z.looseObject({}).parse(header)['alg']);
  } catch {
    return 'unreadable';
  }
}

/** Signature algorithms of tokens that the product's verifier does not know, on purpose. */
const neverInTokens: ReadonlySet<string> = new Set(['PS384', 'PS512', 'ES512', 'ES256K']);

async function jws({ group: of, test: one }: Context): Promise<Outcome> {
  const keys = keysOf(of);
  if (keys.every((key) => key['kty'] === 'oct')) return { never: 'HMAC as a token signature' };
  if (one['jwe'] !== undefined) return { never: 'JWE' };
  const algorithm = headerAlgorithm(one['jws']);
  if (neverInTokens.has(algorithm) && one.result !== 'invalid')
    return { never: `JWS ${algorithm}` };
  const set = parseJwkSet({ keys });
  const token = one['jws'];
  if (!set.ok || typeof token !== 'string') return { accepted: false };
  return { accepted: (await verifyJws(token, set.value)).ok };
}

const runs: Readonly<Record<string, (context: Context) => Outcome | Promise<Outcome>>> = {
  EcdsaVerify: (context) => ecdsa(context, 'der'),
  EcdsaP1363Verify: (context) => ecdsa(context, 'p1363'),
  EddsaVerify: (context) => verified(context, { kind: 'ed25519' }),
  RsassaPssVerify: rsaPss,
  RsassaPssWithParametersVerify: rsaPss,
  RsassaPkcs1Verify: rsaPkcs1,
  AeadTest: aead,
  HkdfTest: hkdfCase,
  MacTest: mac,
  XdhComp: (context) => x25519(context, bytes),
  XdhJwkComp: (context) => x25519(context, okpBytes),
  JsonWebSignature: jws,
  JsonWebCrypto: jws,
  JsonWebKey: jws,
  JsonWebEncryption: () => ({ never: 'JWE' }),
  EcdhTest: () => ({ never: 'ECDH on NIST curves' }),
  EcdhEcpointTest: () => ({ never: 'ECDH on NIST curves' }),
};

async function judge(file: string, context: Context): Promise<CaseResult> {
  const { test: one, group: of } = context;
  const id = `${file}#${one.tcId}`;
  const run = runs[of.type];
  let outcome: Outcome;
  try {
    outcome = run === undefined ? { never: of.type } : await run(context);
  } catch (error) {
    return { id, pass: false, why: `fault: ${String(error)}` };
  }
  if ('never' in outcome) {
    return { id, pass: false, skip: true, why: `${outcome.never}: Postern never calls it` };
  }
  const isRight = one.result === 'acceptable' || outcome.accepted === (one.result === 'valid');
  const did = outcome.accepted ? 'accepted' : 'refused';
  return { id, pass: isRight, why: `${one.result}, ${did}: ${one.comment}` };
}

export const suite: Suite = async function* wycheproof(files) {
  for (const path of files) {
    const file = path.replace(/^.*[/\\]/, '').replace(/(_test)?\.json$/, '');
    const { algorithm = '', testGroups } = wycheproofFile.parse(
      JSON.parse(await readFile(path, 'utf8')),
    );
    for (const of of testGroups) {
      for (const one of of.tests) yield await judge(file, { algorithm, group: of, test: one });
    }
  }
};

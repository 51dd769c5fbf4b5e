/** Tokens of NVIDIA and Azure, signed and checked as in service: jose first, core with its answers. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import { describe, expect, test } from 'vitest';
import { toBase64Url, toHex, utf8 } from '@postern/core/base';
import { gpuTokens, verifyAzureToken, verifyGpuEvidence } from '@postern/core/attest';
import { parseJwkSet } from '@postern/core/attest/jwk';
import type { JwkSet } from '@postern/core/attest/jwk';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { checkTokens } from '../../packages/server/src/adapters/crypto-node/token-signatures.ts';
import { nowMs } from './simulated.ts';

function setOf(key: KeyObject, kid: string): JwkSet {
  const set = parseJwkSet({ keys: [{ ...key.export({ format: 'jwk' }), kid }] });
  if (!set.ok) throw new Error(set.error.detail);
  return set.value;
}

function sign(claims: object, key: KeyObject, alg: string): Promise<string> {
  return new CompactSign(utf8(JSON.stringify(claims)))
    .setProtectedHeader({ alg, kid: 'k' })
    .sign(key);
}

const times = { iat: nowMs / 1000 - 10, exp: nowMs / 1000 + 10 };

describe('NVIDIA', () => {
  const nras = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const keys = setOf(nras.publicKey, 'k');
  const part = {
    ...times,
    eat_nonce: 'ab',
    measres: 'success',
    secboot: true,
    dbgstat: 'disabled',
  };

  async function evidence(
    claims: object = part,
    key: KeyObject = nras.privateKey,
  ): Promise<Uint8Array> {
    const gpu = await sign({ hwmodel: 'GH100', ...claims }, key, 'ES384');
    const digest = createHash('sha256').update(gpu).digest('hex');
    const overall = {
      ...times,
      eat_nonce: 'ab',
      'x-nvidia-overall-att-result': true,
      submods: { 'GPU-0': ['DIGEST', ['SHA256', digest]] },
    };
    const head = await sign(overall, nras.privateKey, 'ES384');
    return utf8(JSON.stringify([['JWT', head], { 'GPU-0': gpu }]));
  }

  async function verify(bytes: Uint8Array, at = nowMs) {
    const isSigned = await checkTokens(gpuTokens(bytes), keys);
    return verifyGpuEvidence(bytes, { crypto: nodeCrypto, isSigned, nowMs: at });
  }

  test('signed evidence is sound and states the GPU and the nonce', async () => {
    const { crypto, findings, claims } = await verify(await evidence());
    expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
    expect(claims).toMatchObject({
      platform: 'nvidia-gpu',
      reportData: Uint8Array.of(0xab),
      measurements: { 'GPU-0.model': 'GH100' },
    });
  });

  test('a GPU that the whole names must be there', async () => {
    const bytes = await evidence();
    const document: [unknown, Record<string, unknown>] = JSON.parse(
      new TextDecoder().decode(bytes),
    );
    document[1] = { 'GPU-1': document[1]['GPU-0'] };
    const { findings } = await verify(utf8(JSON.stringify(document)));
    expect(findings.map(({ detail }) => detail)).toEqual([
      'GPU-0 is missing',
      'GPU-1 is not part of the whole',
    ]);
  });

  test('a token with a critical header parameter is malformed', () => {
    const head = toBase64Url(utf8('{"alg":"ES384","crit":["b64"],"b64":false}'));
    const token = `${head}.e30.AA`;
    const bytes = utf8(JSON.stringify([['JWT', token], { 'GPU-0': token }]));
    const context = { crypto: nodeCrypto, isSigned: () => true, nowMs };
    expect(verifyGpuEvidence(bytes, context).findings).toMatchObject([{ code: 'malformed_token' }]);
  });

  test('a part signed by another key is refused, although its digest fits', async () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    const { crypto, findings } = await verify(await evidence(part, other.privateKey));
    expect(crypto).toBe('invalid');
    expect(findings.map(({ code }) => code)).toEqual(['token_signature_invalid']);
  });

  test.each([
    [{ ...part, measres: 'fail' }, 'tcb_status_refused'],
    [{ ...part, secboot: false }, 'tcb_status_refused'],
    [{ ...part, dbgstat: 'enabled' }, 'debug_enabled'],
    [{ ...part, eat_nonce: 'cd' }, 'report_data_mismatch'],
  ])('%j is %s', async (claims, code) => {
    const { findings } = await verify(await evidence(claims));
    expect(findings.map((finding) => finding.code)).toEqual([code]);
  });

  test('a token is refused from the instant of its expiry', async () => {
    const bytes = await evidence();
    expect((await verify(bytes, nowMs + 9_999)).findings).toEqual([]);
    expect((await verify(bytes, nowMs + 10_000)).findings).toMatchObject([
      { code: 'evidence_too_old' },
    ]);
  });

  test('unsigned evidence counts by the hash that the measured boot holds', () => {
    const bytes = utf8('[["JWT","eyJhbGciOiJub25lIn0.e30."],{"GPU-0":"eyJhbGciOiJub25lIn0.e30."}]');
    const measuredHash = toHex(nodeCrypto.sha256(bytes));
    const context = { crypto: nodeCrypto, isSigned: () => false, nowMs };
    const bound = verifyGpuEvidence(bytes, { ...context, measuredHash });
    expect(bound.findings.map(({ code }) => code)).not.toContain('token_unsigned');
    expect(verifyGpuEvidence(bytes, context).crypto).toBe('invalid');
  });
});

describe('Azure', () => {
  const maa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keys = setOf(maa.publicKey, 'k');
  const iss = 'https://sharedeus.eus.attest.azure.net';
  const tee = {
    'x-ms-attestation-type': 'sevsnpvm',
    'x-ms-compliance-status': 'azure-compliant-cvm',
    'x-ms-sevsnpvm-is-debuggable': false,
    'x-ms-sevsnpvm-reportdata': '11'.repeat(64),
    'x-ms-sevsnpvm-launchmeasurement': 'AA'.repeat(48),
  };
  const claims = { ...times, iss, 'x-ms-isolation-tee': tee };

  async function verify(token: string, issuers: ReadonlySet<string> = new Set([iss])) {
    const isSigned = await checkTokens([token], keys);
    return verifyAzureToken(utf8(token), { isSigned, issuers, nowMs });
  }

  async function codes(changed: object, alg = 'RS256'): Promise<string[]> {
    const { findings } = await verify(await sign(changed, maa.privateKey, alg));
    return findings.map(({ code }) => code);
  }

  test('a signed token of a believed issuer is sound', async () => {
    const outcome = await verify(await sign(claims, maa.privateKey, 'RS256'));
    expect(outcome).toMatchObject({ crypto: 'valid', findings: [] });
    expect(outcome.claims).toMatchObject({
      platform: 'azure',
      reportData: new Uint8Array(64).fill(0x11),
      measurements: { 'x-ms-sevsnpvm-launchmeasurement': 'aa'.repeat(48) },
    });
  });

  test('another issuer, algorithm, state or kind is refused', async () => {
    const foreign = await verify(await sign(claims, maa.privateKey, 'RS256'), new Set());
    expect(foreign.findings).toMatchObject([{ code: 'root_not_pinned' }]);
    expect(await codes(claims, 'RS512')).toEqual(['token_signature_invalid']);
    const withTee = (change: object): object => ({
      ...claims,
      'x-ms-isolation-tee': { ...tee, ...change },
    });
    expect(await codes(withTee({ 'x-ms-sevsnpvm-is-debuggable': true }))).toEqual([
      'debug_enabled',
    ]);
    expect(await codes(withTee({ 'x-ms-compliance-status': 'none' }))).toEqual([
      'tcb_status_refused',
    ]);
    expect(await codes(withTee({ 'x-ms-attestation-type': 'constructor' }))).toEqual([
      'unsupported_evidence',
    ]);
    expect(await codes({ ...claims, exp: undefined })).toEqual(['evidence_too_old']);
  });
});

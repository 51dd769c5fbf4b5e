/**
 * Of the 23 defects, those of identity and of joining: what the sources of our own identity, the authority and joining by
 * evidence have to do with them. The others are in defects.test.ts and registry-defects.test.ts.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { enrolmentText, joinReportData } from '@postern/core/attest/enrolment';
import {
  type CertificateAuthority,
  leafLifetimeMsMax,
  parseCertificate,
  type SpiffeBundle,
} from '@postern/core/attest/x509';
import { ok, Secret } from '@postern/core/base';
import { parseConfig } from '@postern/core/contract';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCertificateAuthority } from '../../packages/server/src/adapters/ca-x509/index.ts';
import {
  nodeCrypto,
  nodeSignatureVerifier,
} from '../../packages/server/src/adapters/crypto-node/index.ts';
import {
  generationFolder,
  openMemberFolder,
} from '../../packages/server/src/adapters/mesh-authority/index.ts';
import { createRequest } from '../../packages/server/src/adapters/mesh-identity/index.ts';
import { nodeEd25519Verify } from '../../packages/server/src/adapters/segment-file/index.ts';
import { trustWith } from '../../packages/server/src/app/mesh/identity.ts';
import {
  AttestedJoining,
  type AttestedJoin,
  Issuing,
  type IssuingRules,
  revokedOf,
} from '../../packages/server/src/mesh/index.ts';
import { authority as root } from '../fakes/pki.ts';
import { callee, caller, machine, trust } from './world.ts';

const domain = 'mesh.example';
const app = callee.app.appId;
let dir = '';
let authority: CertificateAuthority;
let rules: IssuingRules = {
  trustDomain: domain,
  apps: [{ app, join: 'callee' }],
  lifetimeMs: leafLifetimeMsMax,
  isSingleUse: true,
  revoked: revokedOf({}),
};
let nowMs = Date.now();
let issuing: Issuing;

beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'postern-defects-'));
  authority = await createCertificateAuthority({
    trustDomain: domain,
    store: generationFolder(path.join(dir, 'keys')),
    verifier: nodeSignatureVerifier,
  });
  await authority.rotate(nowMs);
  issuing = new Issuing({
    authority,
    members: await openMemberFolder(dir),
    rules: () => rules,
    nowMs: () => nowMs,
    sha256: nodeCrypto.sha256,
    verifyEd25519: nodeEd25519Verify,
  });
});
afterAll(() => rm(dir, { recursive: true }));

const box = generateKeyPairSync('ed25519');
const rawKey = new Uint8Array(box.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));

function proven(kind: 'join' | 'renew', whom: string, atMs = nowMs) {
  const { csr } = createRequest();
  const message = enrolmentText({ kind, whom, atMs }, nodeCrypto.sha256(csr));
  const proof = new Uint8Array(sign(null, message, box.privateKey));
  return { csr, atMs, proof };
}

const holder = (token: string) => async () =>
  ok({ token, types: ['callee'], principal: `key:${token}` });
const join = (token: string, wanted = app) =>
  issuing.answer(
    { kind: 'join', app: wanted, renewalKey: rawKey, ...proven('join', wanted) },
    holder(token),
  );
const nobody = async () => ({
  ok: false as const,
  error: { code: 'credential_missing' as const, message: '' },
});
const code = (result: Awaited<ReturnType<typeof join>>): string =>
  result.ok ? 'issued' : result.error.code;

describe('of identity', () => {
  test('5: trust that comes with an identity counts for its domains, and never over a pinned file', () => {
    const bundleOf = (name: string): SpiffeBundle => {
      const parsed = parseCertificate(root(name).der);
      if (!parsed.ok) throw new Error('a root');
      const rest = { sequence: undefined, refreshHintMs: undefined };
      return { trustDomain: domain, authorities: [parsed.value], ...rest };
    };
    const [pinned, brought] = [bundleOf('pinned'), bundleOf('brought')];
    const files = { ...trust, bundles: new Map([[domain, pinned]]) };
    const merged = trustWith(
      () => files,
      () =>
        new Map([
          [domain, brought],
          ['other.example', brought],
        ]),
    );
    expect(merged().bundles.get(domain)).toBe(pinned);
    expect(merged().bundles.get('other.example')).toBe(brought);
    // No KMS root ever comes with an identity.
    expect(merged().kmsRoots).toEqual([]);
    // The same trust is the same object: what was judged under it stays judged.
    expect(trustWith(() => files, undefined)()).toBe(files);
  });

  test('6: an hour at most, whatever the configuration asks for', async () => {
    for (const seconds of [60, 3_601, 315_360_000]) {
      const parsed = parseConfig({
        mesh: { authority: { trustDomain: domain, certificateSeconds: seconds } },
      });
      expect('issues' in parsed).toBe(true);
    }
    const issued = await join('key_6');
    const [leaf] = issued.ok ? issued.value.chain : [];
    const parsed = parseCertificate(leaf ?? new Uint8Array());
    if (!parsed.ok) throw new Error('a leaf');
    expect(parsed.value.notAfter - parsed.value.notBefore).toBeLessThanOrEqual(leafLifetimeMsMax);
  });

  test('6: whoever is revoked gets no further certificate', async () => {
    const issued = await join('key_revoked');
    if (!issued.ok) throw new Error('issued');
    const { instance } = issued.value;
    const renew = async () => {
      nowMs += 1;
      return code(
        await issuing.answer({ kind: 'renew', instance, ...proven('renew', instance) }, nobody),
      );
    };
    expect(await renew()).toBe('issued');
    rules = { ...rules, revoked: revokedOf({ instances: [instance] }) };
    expect(await renew()).toBe('access_denied');
    rules = { ...rules, revoked: revokedOf({ apps: [app] }) };
    expect(await renew()).toBe('access_denied');
    expect(code(await join('key_more'))).toBe('access_denied');
    rules = { ...rules, revoked: revokedOf({}) };
  });

  test('13: a proof that somebody saw gives nothing: it is of one request, one time, once', async () => {
    const issued = await join('key_13');
    if (!issued.ok) throw new Error('issued');
    const { instance } = issued.value;
    nowMs += 10;
    const request = { kind: 'renew', instance, ...proven('renew', instance) } as const;
    expect(code(await issuing.answer(request, nobody))).toBe('issued');
    expect(code(await issuing.answer(request, nobody))).toBe('credential_invalid');
    const { csr } = createRequest();
    nowMs += 10;
    const other = { ...request, ...proven('renew', instance), csr };
    expect(code(await issuing.answer(other, nobody))).toBe('credential_invalid');
    const old = { ...request, ...proven('renew', instance, nowMs - 400_000) };
    expect(code(await issuing.answer(old, nobody))).toBe('credential_expired');
    const unknown = '00'.repeat(20);
    const stranger = { kind: 'renew', instance: unknown, ...proven('renew', unknown) } as const;
    expect(code(await issuing.answer(stranger, nobody))).toBe('credential_invalid');
  });

  test('16: a token joins one machine, of the app of its rule; the same machine may ask again', async () => {
    expect(code(await join('key_16', caller.app.appId))).toBe('access_denied');
    const first = await join('key_16');
    const again = await join('key_16');
    if (!first.ok || !again.ok) throw new Error('issued');
    // The answer got lost: the same renewal key, the same instance.
    expect(again.value.instance).toBe(first.value.instance);
    const thief = generateKeyPairSync('ed25519');
    const key = new Uint8Array(
      thief.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    );
    const { csr, atMs } = proven('join', app);
    const message = enrolmentText({ kind: 'join', whom: app, atMs }, nodeCrypto.sha256(csr));
    const proof = new Uint8Array(sign(null, message, thief.privateKey));
    const taken = await issuing.answer(
      { kind: 'join', app, renewalKey: key, csr, atMs, proof },
      holder('key_16'),
    );
    expect(code(taken)).toBe('credential_revoked');
  });
});

describe('7: node keys are bound to evidence', () => {
  const joins = new Map<string, AttestedJoin>();
  let revoked = revokedOf({});
  let stale = false;
  const joining = new AttestedJoining({
    judge: {
      trust: () => ({ ...trust, revoked }),
      tools: { crypto: nodeCrypto, signatures: nodeSignatureVerifier },
      findFacts: async () => {
        const { openCollateral } = await import('@postern/core/attest');
        const { createCollateral } = await import(
          '../../packages/server/src/adapters/attestor-simulator/index.ts'
        );
        const source = stale
          ? createCollateral(callee.pki, {
              issuedAtMs: Date.now() - 86_400_000,
              nextUpdateMs: Date.now() + 86_400_000,
              editTcbInfo: (document) => ({
                ...document,
                // The simulator's own document has this list.
                tcbLevels: (document['tcbLevels'] as object[]).map((level) => ({
                  ...level,
                  tcbStatus: 'OutOfDate',
                })),
              }),
            })
          : callee.collateral();
        const pins = trust.anchors.intel;
        const intelCollateral = openCollateral(source, { crypto: nodeCrypto, pins });
        return { intelCollateral, amdCertificates: [] };
      },
      nowMs: () => nowMs,
    },
    apps: () => [app],
    store: {
      add: async (each) => void joins.set(each.keyId, each),
      find: async (id) => joins.get(id),
    },
    network: () => ({
      createKey: async () =>
        ok({ id: `k${joins.size}`, key: new Secret('k'), url: 'x', expiresAtMs: nowMs }),
      node: (key) => (key === nodeKey ? { id: 'n1', admittedBy: 'k0' } : undefined),
      approve: async () => ok(undefined),
    }),
  });
  const nodeKey = `nodekey:${'ab'.repeat(32)}`;
  const evidence = (simulator = callee, nonce = joining.challenge().nonce) => ({
    nonce,
    name: 'box',
    evidence: simulator.attestation(joinReportData({ kind: 'join' }, nonce, nodeCrypto)),
  });
  const said = (result: Awaited<ReturnType<AttestedJoining['join']>>): string =>
    result.ok ? 'joined' : `${result.error.code} ${result.error.message}`;

  test('a key for evidence over a fresh challenge, and for nothing else', async () => {
    expect(said(await joining.join(evidence()))).toBe('joined');
    const used = evidence();
    expect(said(await joining.join(used))).toBe('joined');
    expect(said(await joining.join(used))).toContain('answered before');
    const late = evidence();
    nowMs += 121_000;
    expect(said(await joining.join(late))).toContain('credential_expired');
    expect(said(await joining.join(evidence(machine('cc'))))).toContain('app_not_allowed');
    stale = true;
    expect(said(await joining.join(evidence()))).toContain('tcb_status_refused');
    stale = false;
    for (const lists of [
      { apps: [app] },
      { instances: [callee.app.instanceId] },
      { devices: [callee.deviceId] },
    ]) {
      revoked = revokedOf(lists);
      expect(said(await joining.join(evidence()))).toContain('_revoked');
    }
    revoked = revokedOf({});
  });

  test('a node is let in by evidence over its node key, of the machine that got the key', async () => {
    const bind = (simulator = callee, proofOf = nodeKey) => {
      const { nonce } = joining.challenge();
      const data = joinReportData({ kind: 'bind', nodeKey: proofOf }, nonce, nodeCrypto);
      return joining.bind({ nonce, nodeKey, evidence: simulator.attestation(data) });
    };
    expect(await bind()).toMatchObject({ ok: true, value: { node: 'n1' } });
    const other = `nodekey:${'cd'.repeat(32)}`;
    expect(await bind(callee, other)).toMatchObject({ ok: false });
    expect(await bind(machine('bb', 'dd'))).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('Another machine') },
    });
  });
});

import { describe, expect, test } from 'vitest';
import {
  appraise,
  appraisePeer,
  sessionReportData,
  strictPlatformPolicy,
  targetRefusals,
  VerdictCache,
  verifyDstackAttestation,
  verifyPeerCertificate,
} from '@postern/core/attest';
import type { AppraisalPolicy, Verdict } from '@postern/core/attest';
import { createCollateral } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import {
  contextOf,
  dayMs,
  hourMs,
  leafOf,
  nowMs,
  peerContext,
  policy,
  simulator,
} from './simulated.ts';

const { app, pki } = simulator;
const leaf = leafOf();
const verified = verifyPeerCertificate(leaf, peerContext());

function verdict(changes: Partial<AppraisalPolicy> = {}): Verdict {
  return appraise(verified, { ...policy, ...changes }, nowMs);
}

function codes(changes: Partial<AppraisalPolicy>): string[] {
  return verdict(changes).refusals.map(({ code }) => code);
}

describe('deny by default', () => {
  test('an empty policy accepts nothing, and says everything that it misses', () => {
    const empty = { images: [], apps: [], devices: [], keyProviders: [] };
    expect(codes(empty)).toEqual([
      'image_not_allowed',
      'app_not_allowed',
      'device_not_allowed',
      'key_provider_not_allowed',
    ]);
  });

  test('a pin that leaves out a register matches nothing', () => {
    const [image] = policy.images;
    const { mrtd = '', rtmr0 = '', rtmr1 = '' } = image!.measurements;
    const measurements = { mrtd, rtmr0, rtmr1 };
    expect(codes({ images: [{ ...image!, measurements }] })).toEqual(['image_not_allowed']);
    expect(codes({ images: [{ ...image!, measurements: {} }] })).toEqual(['image_not_allowed']);
  });

  test('a pin of another platform matches nothing', () => {
    const [image] = policy.images;
    expect(codes({ images: [{ ...image!, platform: 'nitro' }] })).toEqual(['image_not_allowed']);
  });

  test('one rule must allow compose hash and instance together', () => {
    const { appId, composeHash, instanceId } = app;
    const split = [
      { appId, composeHashes: [composeHash], instanceIds: ['00'.repeat(20)] },
      { appId, composeHashes: ['00'.repeat(32)], instanceIds: [instanceId] },
    ];
    expect(codes({ apps: split })).toEqual(['instance_not_allowed']);
    const whole = [
      { appId, composeHashes: [composeHash], instanceIds: [instanceId.toUpperCase()] },
    ];
    expect(codes({ apps: [...split, ...whole] })).toEqual([]);
  });

  test('a device list allows the machine that it names', () => {
    expect(codes({ devices: [verified.claims!.deviceId!] })).toEqual([]);
  });
});

describe('TCB exceptions', () => {
  const editTcbInfo = (document: Record<string, unknown>): Record<string, unknown> => {
    const [level] = document['tcbLevels'] as readonly object[];
    const status = { tcbStatus: 'SWHardeningNeeded', advisoryIDs: ['INTEL-SA-00001'] };
    return { ...document, tcbLevels: [{ ...level, ...status }] };
  };
  const times = { issuedAtMs: nowMs - dayMs, nextUpdateMs: nowMs + dayMs };
  const source = createCollateral(pki, { ...times, editTcbInfo });
  const behind = verifyPeerCertificate(leaf, { ...peerContext(), ...contextOf({}, source) });
  const under = (untilMs: number, advisories: readonly string[]): Verdict => {
    const tcb = [{ status: 'SWHardeningNeeded', advisories, untilMs } as const];
    return appraise(behind, { ...policy, platform: { ...strictPlatformPolicy, tcb } }, nowMs);
  };

  test('a listed status is accepted until its end, and the verdict ends with it', () => {
    const accepted = under(nowMs + 1000, ['INTEL-SA-00001']);
    expect(accepted).toMatchObject({ accepted: true, expiresAtMs: nowMs + 1000 });
    expect(under(nowMs, ['INTEL-SA-00001']).refusals).toMatchObject([
      { code: 'tcb_status_refused' },
    ]);
  });

  test('an advisory that nobody accepted refuses', () => {
    expect(under(nowMs + 1000, []).refusals).toMatchObject([{ code: 'tcb_advisory_refused' }]);
  });
});

test('a waiver covers the posture that it names and never debug or a broken signature', () => {
  const waived = ['sept_ve_enabled', 'trailing_bytes'] as const;
  const platform = { ...strictPlatformPolicy, waived };
  const findings = [
    { code: 'sept_ve_enabled', detail: '' },
    { code: 'debug_enabled', detail: '' },
    { code: 'quote_signature_invalid', detail: '' },
  ] as const;
  const outcome = { ...verified, crypto: 'invalid', findings } as const;
  const { refusals } = appraise(outcome, { ...policy, platform }, nowMs);
  expect(refusals.map(({ code }) => code)).toEqual(['debug_enabled', 'quote_signature_invalid']);
});

test('evidence whose claims say debug is refused even where no finding says so', () => {
  const claims = { ...verified.claims!, debug: true };
  const { refusals } = appraise({ ...verified, claims }, policy, nowMs);
  expect(refusals).toMatchObject([{ code: 'debug_enabled' }]);
});

test('a verdict ends with the shortest of what it rests on', () => {
  expect(verdict().expiresAtMs).toBe(nowMs + hourMs);
  const soon = leafOf({ notAfterMs: nowMs + 5000 });
  const context = peerContext();
  expect(appraisePeer(soon, { context, policy }).expiresAtMs).toBe(nowMs + 5000);
  const times = { issuedAtMs: nowMs - 1000, nextUpdateMs: nowMs + 7000 };
  const short = { ...context, ...contextOf({}, createCollateral(pki, times)) };
  expect(appraisePeer(leaf, { context: short, policy }).expiresAtMs).toBe(nowMs + 7000);
});

describe('the peer', () => {
  test('is checked against the app and instance that were asked for, in any case of letters', () => {
    const accepted = verdict();
    const { appId, instanceId } = app;
    expect(targetRefusals(accepted, { appId: appId.toUpperCase(), instanceId })).toEqual([]);
    expect(targetRefusals(accepted, { instanceId: appId })).toMatchObject([
      { code: 'target_instance_mismatch' },
    ]);
  });

  test('needs a certificate for its role', () => {
    const client = leafOf({ usageServerAuth: false });
    const context = peerContext({ role: 'client' });
    expect(appraisePeer(client, { context, policy }).accepted).toBe(true);
    expect(appraisePeer(client, { context: peerContext(), policy }).accepted).toBe(false);
  });

  test('may be late or early by the clock skew and no more', () => {
    const early = leafOf({ notBeforeMs: nowMs + 1000 });
    const context = peerContext({ clockSkewMsMax: 1000 });
    expect(appraisePeer(early, { context, policy }).accepted).toBe(true);
  });
});

describe('evidence for one TLS session', () => {
  const { crypto } = peerContext();
  const binding = {
    role: 'server',
    exporter: new Uint8Array(32).fill(1),
    ownSpki: new Uint8Array(91).fill(2),
    peerSpki: new Uint8Array(91).fill(3),
    peerNonce: new Uint8Array(32).fill(4),
  } as const;
  const reportData = sessionReportData(binding, crypto);

  test('is accepted for its own session alone', () => {
    const attestation = simulator.attestation(reportData);
    const outcome = verifyDstackAttestation(attestation, contextOf());
    expect(appraise(outcome, policy, nowMs, { reportData }).accepted).toBe(true);
    const others = [
      { role: 'client' },
      { exporter: new Uint8Array(32) },
      { ownSpki: binding.peerSpki },
      { peerSpki: undefined },
      { peerNonce: new Uint8Array(32) },
    ] as const;
    for (const other of others) {
      const expected = sessionReportData({ ...binding, ...other }, crypto);
      expect(appraise(outcome, policy, nowMs, { reportData: expected }).refusals).toMatchObject([
        { code: 'report_data_unexpected' },
      ]);
    }
  });

  test('has the bytes that the protocol says', () => {
    const hash = (bytes: Uint8Array): string => Buffer.from(crypto.sha256(bytes)).toString('hex');
    const hex = [
      Buffer.from('postern-attest-v1:server').toString('hex'),
      '01'.repeat(32),
      hash(binding.ownSpki),
      hash(binding.peerSpki),
      '04'.repeat(32),
    ].join('');
    expect(reportData).toEqual(crypto.sha512(new Uint8Array(Buffer.from(hex, 'hex'))));
  });
});

describe('the verdict cache', () => {
  const generation = policy.generation;
  const accepted = verdict();

  test('gives a verdict back until it ends', () => {
    const cache = new VerdictCache();
    cache.put('a', accepted);
    expect(cache.get('a', { generation, nowMs })).toBe(accepted);
    expect(cache.get('a', { generation, nowMs: accepted.expiresAtMs })).toBeUndefined();
    expect(cache.size).toBe(0);
  });

  test('forgets verdicts of an older policy', () => {
    const cache = new VerdictCache();
    cache.put('a', accepted);
    expect(cache.get('a', { generation: generation + 1, nowMs })).toBeUndefined();
  });

  test('keeps no refusals and drops the least recently used verdict', () => {
    const cache = new VerdictCache(2);
    cache.put('refused', verdict({ images: [] }));
    expect(cache.size).toBe(0);
    for (const key of ['a', 'b']) cache.put(key, accepted);
    cache.get('a', { generation, nowMs });
    cache.put('c', accepted);
    expect(cache.get('b', { generation, nowMs })).toBeUndefined();
    expect(cache.get('a', { generation, nowMs })).toBe(accepted);
    expect(cache.size).toBe(2);
  });

  test('answers a second time without verifying, and verifies again for another role', () => {
    const cache = new VerdictCache();
    let hashes = 0;
    const { crypto } = peerContext();
    const counting = {
      ...crypto,
      verifyEcdsa: (check: Parameters<typeof crypto.verifyEcdsa>[0]) => {
        hashes += 1;
        return crypto.verifyEcdsa(check);
      },
    };
    const context = peerContext({ crypto: counting });
    const first = appraisePeer(leaf, { context, policy, cache });
    expect(hashes).toBeGreaterThan(0);
    hashes = 0;
    expect(appraisePeer(leaf, { context, policy, cache })).toBe(first);
    expect(hashes).toBe(0);
    appraisePeer(leaf, { context: { ...context, role: 'client' }, policy, cache });
    expect(hashes).toBeGreaterThan(0);
  });
});

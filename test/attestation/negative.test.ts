/**
 * What verifiers of this kind got wrong before, by name: one test each. The wire, the mesh and the registry have such
 * lists of their own.
 */
import { describe, expect, test } from 'vitest';
import { authority, leaf, pkiNow, verifier } from '../fakes/pki.ts';
import { concatBytes, fromHex, utf8 } from '@postern/core/base';
import {
  openCollateral,
  verifyDstackAttestation,
  verifyIntelQuote,
  verifyPeerCertificate,
  verifyQuoteAnswer,
} from '@postern/core/attest';
import type { IntelCollateralSource, RuntimeEvent, Verification } from '@postern/core/attest';
import { parseCertificate, parseSpiffeId, usageOid, verifySvid } from '@postern/core/attest/x509';
import type { Certificate } from '@postern/core/attest/x509';
import {
  bootEvents,
  createCollateral,
  createTdQuote,
  eventLogJson,
  replayEvents,
  writeMsgpackForm,
  writeScaleForm,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type { TdOptions } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { documentOf, verifyDocument } from './nitro-pki.ts';
import { anchors, contextOf, dayMs, leafOf, nowMs, peerContext, simulator } from './simulated.ts';
import { certificatesOf, reportOf, verifyReport } from './snp-pki.ts';

const { app, pki } = simulator;
const reportData = new Uint8Array(64).fill(0x42);
const boot = bootEvents(app);
const pins = { crypto: nodeCrypto, pins: anchors.intel };

function codes({ findings }: Verification): string[] {
  return findings.map(({ code }) => code);
}

function quoteOf(events: readonly RuntimeEvent[], options: Partial<TdOptions> = {}): Uint8Array {
  const rtmrs: Uint8Array[] = [16, 17, 18].map((byte) => new Uint8Array(48).fill(byte));
  rtmrs.push(replayEvents(events));
  return createTdQuote(pki, { reportData, rtmrs, ...options });
}

function attested(events: readonly RuntimeEvent[]): Verification {
  const evidence = { quote: quoteOf(events), events, reportData, config: '' };
  return verifyDstackAttestation(writeMsgpackForm(evidence), contextOf());
}

function answered(changes: Readonly<Record<string, unknown>>): Verification {
  const fields = {
    quote: Buffer.from(quoteOf(boot)).toString('hex'),
    event_log: eventLogJson(boot),
    report_data: Buffer.from(reportData).toString('hex'),
    vm_config: '{}',
    ...changes,
  };
  return verifyQuoteAnswer(utf8(JSON.stringify(fields)), contextOf());
}

describe('revocation lists', () => {
  const good = simulator.collateral();
  const verifyWith = (source: IntelCollateralSource): string[] => {
    const collateral = openCollateral(source, pins);
    return codes(verifyIntelQuote(quoteOf(boot), { ...pins, collateral, nowMs }));
  };

  test.each(['pck_crl', 'root_ca_crl'] as const)('forged %s', (name) => {
    const signature = good[name].slice(0, -2) + (good[name].endsWith('0') ? '11' : '00');
    expect(verifyWith({ ...good, [name]: signature })).toEqual(['crl_signature_invalid']);
  });
  test.each(['pck_crl', 'root_ca_crl'] as const)('garbage %s', (name) => {
    expect(verifyWith({ ...good, [name]: 'deadbeef' })).toEqual(['collateral_malformed']);
    expect(verifyWith({ ...good, [name]: 'not hex' })).toEqual(['collateral_malformed']);
  });
  test.each(['pck_crl', 'root_ca_crl'] as const)('empty %s', (name) => {
    expect(verifyWith({ ...good, [name]: '' })).toEqual(['collateral_malformed']);
  });
  test('expired CRL', () => {
    const times = { issuedAtMs: nowMs - 2 * dayMs, nextUpdateMs: nowMs - dayMs };
    const old = createCollateral(pki, times);
    const mixed = { ...good, pck_crl: old.pck_crl };
    expect(verifyWith(mixed)).toEqual(['crl_expired']);
  });
});

describe('measured events', () => {
  const event = (name: string, text: string): RuntimeEvent => ({
    name,
    payload: utf8(text),
    version: 1,
  });

  test('event appended after system-ready', () => {
    const outcome = attested([...boot, { ...event('app-id', ''), payload: new Uint8Array(20) }]);
    expect(codes(outcome)).toEqual([]);
    expect(outcome.claims?.workload?.appId).toBe(app.appId);
  });
  test('two app-id events', () => {
    const again = { ...event('app-id', ''), payload: new Uint8Array(20) };
    const events = boot.flatMap((each) => (each.name === 'app-id' ? [each, again] : [each]));
    expect(codes(attested(events))).toContain('boot_events_invalid');
  });
  test('listed digest ≠ recomputed digest', () => {
    const log = eventLogJson(boot).replace(
      /"digest":"[0-9a-f]{96}"/,
      `"digest":"${'0'.repeat(96)}"`,
    );
    expect(codes(answered({ event_log: log }))).toContain('event_digest_mismatch');
  });
  test('wrapper report_data ≠ quote report_data', () => {
    expect(codes(answered({ report_data: '00'.repeat(64) }))).toEqual(['report_data_mismatch']);
  });
});

describe('forms', () => {
  test('v5 quote with TD1.5 body', () => {
    const options = { version: 5, mrServiceTd: new Uint8Array(48) } as const;
    const quote = quoteOf(boot, options);
    const evidence = { quote, events: boot, reportData, config: '' };
    expect(codes(verifyDstackAttestation(writeScaleForm(evidence), contextOf()))).toEqual([]);
    const served = quoteOf(boot, { version: 5, mrServiceTd: new Uint8Array(48).fill(1) });
    const { intelCollateral: collateral } = contextOf();
    const outcome = verifyIntelQuote(served, { ...pins, collateral, nowMs });
    expect(codes(outcome)).toEqual(['service_td_present']);
  });
  test('non-zero trailing bytes', () => {
    const quote = quoteOf(boot);
    const { intelCollateral: collateral } = contextOf();
    const changed = quote.with(quote.length - 1, 1);
    expect(codes(verifyIntelQuote(changed, { ...pins, collateral, nowMs }))).toEqual([
      'trailing_bytes',
    ]);
  });
  test.each([
    ['SCALE', writeScaleForm],
    ['msgpack', writeMsgpackForm],
  ])('%s trailing bytes', (_name, write) => {
    const form = write({ quote: quoteOf(boot), events: boot, reportData, config: '' });
    const outcome = verifyDstackAttestation(concatBytes(form, Uint8Array.of(0)), contextOf());
    expect(codes(outcome)).toEqual(['malformed_evidence']);
  });
  test.each([
    ['SCALE', '0000feffffff'],
    ['msgpack', 'df7fffffff'],
    ['msgpack', '81a776657273696f6edd7fffffff'],
  ])('%s length bomb %s', (_name, hex) => {
    const bomb = fromHex(hex) ?? new Uint8Array();
    expect(codes(verifyDstackAttestation(bomb, contextOf()))).toEqual(['malformed_evidence']);
  });
});

describe('platforms', () => {
  test('zero-PCR Nitro doc', () => {
    const pcrs = new Map([0, 1, 2].map((index) => [index, new Uint8Array(48)]));
    expect(codes(verifyDocument(documentOf({ fields: { pcrs } })))).toEqual(['debug_enabled']);
  });
  test('SNP vmpl ≠ 0', () => {
    expect(codes(verifyReport(reportOf({ vmpl: 2 })))).toEqual(['vmpl_refused']);
  });
  test('SNP debug policy', () => {
    expect(codes(verifyReport(reportOf({ policy: 0xb0000n })))).toEqual(['debug_enabled']);
  });
  test('VCEK TCB ≠ reported TCB', () => {
    const certificates = certificatesOf({ versions: { '3.8': 99 } });
    expect(codes(verifyReport(reportOf(), { certificates }))).toEqual(['chip_tcb_mismatch']);
  });
});

function certificate(der: Uint8Array): Certificate {
  const read = parseCertificate(der);
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
}

describe('certificates', () => {
  const home = authority('home');
  const accepted = (names: readonly string[]): boolean => {
    const authorities = [certificate(home.der)];
    const bundle = { trustDomain: 'a.example', authorities, sequence: 1, refreshHintMs: undefined };
    const input = {
      leaf: certificate(leaf(names, { issuer: home }).der),
      intermediates: [],
      bundles: new Map([['a.example', bundle]]),
      at: pkiNow,
      purpose: usageOid.clientAuth,
    };
    return verifySvid(input, verifier).ok;
  };

  test('missing usage_ra_tls', () => {
    const plain = leafOf({ usageRaTls: false });
    expect(codes(verifyPeerCertificate(plain, peerContext()))).toEqual(['evidence_missing']);
  });
  test('evidence of another key', () => {
    const one = leafOf();
    const other = leafOf();
    const { spki } = certificate(one);
    const swapped = one.slice();
    swapped.set(certificate(other).spki, Buffer.from(one).indexOf(spki));
    expect(codes(verifyPeerCertificate(swapped, peerContext()))).toContain('key_binding_invalid');
  });
  test('two URI SANs', () => {
    expect(accepted(['uri:spiffe://a.example/b'])).toBe(true);
    expect(accepted(['uri:spiffe://a.example/b', 'uri:spiffe://a.example/c'])).toBe(false);
  });
  test('SPIFFE path ..', () => {
    expect(parseSpiffeId('spiffe://a.example/b/../c')).toBeUndefined();
    expect(accepted(['uri:spiffe://a.example/b/../c'])).toBe(false);
  });
});

/** dstack's wrappers around evidence, and what other verifiers of them got wrong. */
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, toHex, utf8 } from '@postern/core/base';
import { writeMsgpack } from '@postern/core/base/msgpack';
import {
  eventPreimage,
  parseDstackAttestation,
  replay,
  verifyDstackAttestation,
  verifyIntelQuote,
  verifyQuoteAnswer,
} from '@postern/core/attest';
import type { RuntimeEvent, Verification } from '@postern/core/attest';
import {
  bootEvents,
  createTdQuote,
  eventDigest,
  eventLogJson,
  replayEvents,
  writeMsgpackForm,
  writeScaleForm,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type { TdOptions } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { anchors, contextOf, nowMs, simulator } from './simulated.ts';

const { app, pki } = simulator;
const reportData = new Uint8Array(64).fill(0x42);
const boot = bootEvents(app);

function quoteOf(events: readonly RuntimeEvent[], options: Partial<TdOptions> = {}): Uint8Array {
  const rtmrs: Uint8Array[] = [16, 17, 18].map((byte) => new Uint8Array(48).fill(byte));
  rtmrs.push(replayEvents(events));
  return createTdQuote(pki, { reportData, rtmrs, ...options });
}

function scale(events: readonly RuntimeEvent[], options: Partial<TdOptions> = {}): Uint8Array {
  return writeScaleForm({ quote: quoteOf(events, options), events, reportData, config: '' });
}

function verify(bytes: Uint8Array): Verification {
  return verifyDstackAttestation(bytes, contextOf());
}

function codes({ findings }: Verification): string[] {
  return findings.map(({ code }) => code);
}

function answer(changes: Readonly<Record<string, unknown>> = {}): Verification {
  const fields = {
    quote: Buffer.from(quoteOf(boot)).toString('hex'),
    event_log: eventLogJson(boot),
    report_data: Buffer.from(reportData).toString('hex'),
    vm_config: '{}',
    ...changes,
  };
  return verifyQuoteAnswer(utf8(JSON.stringify(fields)), contextOf());
}

describe('the forms', () => {
  test('SCALE, MessagePack and the JSON answer of one quote say the same', () => {
    const evidence = { quote: quoteOf(boot), events: boot, reportData, config: '' };
    const forms = [verify(writeScaleForm(evidence)), verify(writeMsgpackForm(evidence)), answer()];
    for (const { crypto, findings, claims } of forms) {
      expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
      expect(claims?.workload).toMatchObject({ ...app });
    }
  });

  test('MessagePack bytes may be arrays of integers, as serde writes them', () => {
    const form = writeMsgpackForm({
      quote: Uint8Array.of(1, 2),
      events: [],
      reportData,
      config: '',
    });
    const hex = toHex(form).replace('c4020102', '920102');
    const parsed = parseDstackAttestation(fromHex(hex)!);
    expect(parsed.ok && parsed.value.platform).toMatchObject({ quote: Uint8Array.of(1, 2) });
  });

  test('SCALE and MessagePack trailing bytes are refused', () => {
    const evidence = { quote: quoteOf(boot), events: boot, reportData, config: '' };
    for (const form of [writeScaleForm(evidence), writeMsgpackForm(evidence)]) {
      expect(codes(verify(concatBytes(form, Uint8Array.of(0))))).toEqual(['malformed_evidence']);
      expect(codes(verify(form.subarray(0, form.length - 1)))).toEqual(['malformed_evidence']);
    }
  });

  test('SCALE and MessagePack length bombs are refused without allocating', () => {
    const bombs = [
      '0000feffffff',
      '000004aafeffffff',
      'df7fffffff',
      '81a776657273696f6edd7fffffff',
    ];
    for (const bomb of bombs) expect(codes(verify(fromHex(bomb)!))).toEqual(['malformed_evidence']);
  });

  test('unknown platforms, versions, fields and forms are refused', () => {
    const record = (fields: Record<string, string | number>): Uint8Array =>
      writeMsgpack(new Map(Object.entries(fields)));
    const inputs = [
      fromHex('0001')!,
      fromHex('0004')!,
      fromHex('01')!,
      new Uint8Array(),
      record({ version: 2, platform: '', stack: '' }),
      record({ version: 1, platform: '', stack: '', more: 1 }),
    ];
    for (const input of inputs) expect(codes(verify(input))).toEqual(['malformed_evidence']);
  });

  test('a dstack-pod attestation must hash its payload into the report data', () => {
    const data = nodeCrypto.sha512(utf8('app-data:hello'));
    const quote = quoteOf(boot, { reportData: data });
    const evidence = { quote, events: boot, reportData: data, config: '' };
    expect(codes(verify(writeMsgpackForm(evidence, 'hello')))).toEqual([]);
    expect(codes(verify(writeMsgpackForm(evidence, 'other')))).toEqual(['report_data_mismatch']);
  });
});

describe('negative tests that other systems got wrong', () => {
  test('an event appended after system-ready does not change who the workload is', () => {
    const forged: RuntimeEvent = { name: 'app-id', payload: new Uint8Array(20), version: 1 };
    const { crypto, findings, claims } = verify(scale([...boot, forged]));
    expect({ crypto, findings }).toEqual({ crypto: 'valid', findings: [] });
    expect(claims?.workload?.appId).toBe(app.appId);
  });

  test('two app-id events before system-ready are refused', () => {
    const again: RuntimeEvent = { name: 'app-id', payload: new Uint8Array(20), version: 1 };
    const events = boot.toSpliced(2, 0, again);
    const outcome = verify(scale(events));
    expect(codes(outcome)).toEqual(['boot_events_invalid']);
    expect(outcome.claims?.workload?.appId).toBe(app.appId);
  });

  test('a listed digest other than the recomputed one is refused', () => {
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(boot));
    log[1]!['digest'] = 'ab'.repeat(48);
    expect(codes(answer({ event_log: JSON.stringify(log) }))).toEqual(['event_digest_mismatch']);
  });

  test('an event whose payload is changed but whose digest is kept does not replay', () => {
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(boot));
    log[1]!['event_payload'] = '00'.repeat(20);
    const outcome = answer({ event_log: JSON.stringify(log) });
    expect(codes(outcome)).toEqual(['event_digest_mismatch', 'event_log_mismatch']);
    expect(outcome.claims?.workload).toBeUndefined();
  });

  test('a runtime event in another register than 3 is refused', () => {
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(boot));
    const stray = { ...log[1]!, imr: 2, event_payload: '00'.repeat(20) };
    expect(codes(answer({ event_log: JSON.stringify([stray, ...log]) }))).toContain(
      'event_log_mismatch',
    );
  });

  test('a runtime event outside of every register, and another event in register 3, are refused', () => {
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(boot));
    const stray = { ...log[1]!, imr: 4 };
    expect(codes(answer({ event_log: JSON.stringify([...log, stray]) }))).toEqual([
      'event_log_mismatch',
    ]);
    const other = { ...log[1]!, event_type: 4 };
    expect(codes(answer({ event_log: JSON.stringify([...log, other]) }))).toEqual([
      'event_log_mismatch',
    ]);
  });

  test('boot events that do not replay to their registers are refused, stripped ones are not compared', () => {
    const digest = new Uint8Array(48).fill(7);
    const rtmr0 = replay([digest], nodeCrypto);
    const rest: Uint8Array[] = [17, 18].map((byte) => new Uint8Array(48).fill(byte));
    const rtmrs = [rtmr0, ...rest, replayEvents(boot)];
    const quote = Buffer.from(createTdQuote(pki, { reportData, rtmrs })).toString('hex');
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(boot));
    const bootEvent = (event_type: number, hex: string): Record<string, unknown> => ({
      imr: 0,
      event_type,
      digest: hex,
      event: '',
      event_payload: '',
    });
    const outcome = (event: Record<string, unknown>): string[] =>
      codes(answer({ quote, event_log: JSON.stringify([event, ...log]) }));
    expect(outcome(bootEvent(4, '07'.repeat(48)))).toEqual([]);
    expect(outcome(bootEvent(4, '08'.repeat(48)))).toEqual(['event_log_mismatch']);
    expect(outcome(bootEvent(4, ''))).toEqual(['event_log_mismatch']);
    expect(outcome(bootEvent(10, '08'.repeat(48)))).toEqual([]);
  });

  test("the wrapper's report data other than the quote's is refused, and never used", () => {
    const outcome = answer({ report_data: 'ff'.repeat(64) });
    expect(codes(outcome)).toEqual(['report_data_mismatch']);
    expect(outcome.claims?.reportData).toEqual(reportData);
  });

  test('a v5 quote with a TD 1.5 body is read at its own offsets', () => {
    const outcome = verify(scale(boot, { version: 5, mrServiceTd: new Uint8Array(48) }));
    expect(outcome).toMatchObject({ crypto: 'valid', findings: [] });
    expect(verify(scale(boot, { version: 5 }))).toMatchObject({ crypto: 'valid', findings: [] });
    expect(outcome.claims?.reportData).toEqual(reportData);
  });

  test('a v5 quote whose size and body type disagree is refused', () => {
    const bytes = createTdQuote(pki, { reportData, version: 5 });
    bytes[48] = 3;
    const context = { crypto: nodeCrypto, pins: anchors.intel, collateral: undefined, nowMs };
    expect(codes(verifyIntelQuote(bytes, context))).toEqual(['malformed_evidence']);
  });

  test('an answer without a quote is judged by its attestation', () => {
    const attestation = Buffer.from(scale(boot)).toString('hex');
    expect(codes(answer({ quote: '', attestation }))).toEqual([]);
    const wrong = { quote: '', attestation, report_data: '00' };
    expect(codes(answer(wrong))).toEqual(['report_data_mismatch']);
  });

  test('a key named twice in the answer has two readings and is refused', () => {
    const text = `{"quote":"","quote":"","event_log":"[]","report_data":""}`;
    expect(codes(verifyQuoteAnswer(utf8(text), contextOf()))).toEqual(['malformed_evidence']);
  });
});

describe('event digests', () => {
  test('version 1 joins type, name and payload with colons', () => {
    const event = { name: 'app-id', payload: Uint8Array.of(0xde, 0xad), version: 1 } as const;
    expect(toHex(eventPreimage(event))).toBe('010000083a6170702d69643adead');
  });

  test('version 2 hashes canonical JSON', () => {
    const event = { name: 'compose-hash', payload: Uint8Array.of(0xab, 0xcd), version: 2 } as const;
    const text = '{"name":"compose-hash","payload":"abcd","type":134217729}';
    expect(eventPreimage(event)).toEqual(utf8(text));
  });

  const second: readonly RuntimeEvent[] = boot.map((event) => ({ ...event, version: 2 }));
  const answerOf = (events: readonly RuntimeEvent[], log: unknown): Verification =>
    answer({
      quote: Buffer.from(quoteOf(events)).toString('hex'),
      event_log: JSON.stringify(log),
    });

  test('a log of version 2 replays when it shows its preimages', () => {
    expect(codes(answerOf(second, JSON.parse(eventLogJson(second))))).toEqual([]);
  });

  test('a preimage that is missing, or of another event, is refused', () => {
    const log: Record<string, unknown>[] = JSON.parse(eventLogJson(second));
    const missing = log.map((event) => ({ ...event, preimage: undefined }));
    expect(codes(answerOf(second, missing))).toContain('event_digest_mismatch');
    const other = log.map((event, index) =>
      index === 1 ? { ...event, preimage: log[2]!['preimage'] } : event,
    );
    expect(codes(answerOf(second, other))).toEqual(['event_digest_mismatch']);
    expect(toHex(eventDigest(second[1]!))).toBe(log[1]!['digest']);
  });
});

describe('MRCONFIGID', () => {
  const form = (first: number, hash: Uint8Array): Uint8Array => {
    const id = new Uint8Array(48);
    id[0] = first;
    id.set(hash, 1);
    return id;
  };
  const compose = fromHex(app.composeHash)!;
  const kind = Uint8Array.of(2);
  const bound = concatBytes(compose, fromHex(app.appId)!, kind, fromHex(app.keyProvider.id)!);

  test('form 1 is the compose hash', () => {
    expect(codes(verify(scale(boot, { mrConfigId: form(1, compose) })))).toEqual([]);
    expect(codes(verify(scale(boot, { mrConfigId: form(1, new Uint8Array(32)) })))).toEqual([
      'config_binding_invalid',
    ]);
    const tail = form(1, compose);
    tail[47] = 1;
    expect(codes(verify(scale(boot, { mrConfigId: tail })))).toEqual(['config_binding_invalid']);
  });

  test('form 2 is the Keccak hash of compose hash, app id, kind and key provider', () => {
    const hash = nodeCrypto.keccak256(bound);
    expect(codes(verify(scale(boot, { mrConfigId: form(2, hash) })))).toEqual([]);
    expect(codes(verify(scale(boot, { mrConfigId: form(2, compose) })))).toEqual([
      'config_binding_invalid',
    ]);
  });

  test('form 3 is the hash of a document that has to be there and to agree', () => {
    const prefix = utf8('dstack-mr-config-v3:\0');
    const evidence = (document: string, config: string): Verification => {
      const hash = nodeCrypto.sha256(concatBytes(prefix, utf8(document)));
      const quote = quoteOf(boot, { mrConfigId: form(3, hash) });
      return verify(writeScaleForm({ quote, events: boot, reportData, config }));
    };
    const document = JSON.stringify({ compose_hash: app.composeHash, key_provider: 'kms' });
    const config = JSON.stringify({ mr_config: document });
    expect(codes(evidence(document, config))).toEqual([]);
    expect(codes(evidence(document, JSON.stringify({ vm_config: config })))).toEqual([]);
    expect(codes(evidence(document, '{}'))).toEqual(['config_binding_invalid']);
    const other = JSON.stringify({ compose_hash: '00'.repeat(32), key_provider: 'kms' });
    const otherConfig = JSON.stringify({ mr_config: other });
    const app2 = JSON.stringify({ ...JSON.parse(document), app_id: '00'.repeat(20) });
    expect(codes(evidence(app2, JSON.stringify({ mr_config: app2 })))).toEqual([
      'config_binding_invalid',
    ]);
    expect(codes(evidence(other, otherConfig))).toEqual(['config_binding_invalid']);
  });
});

import { createHash, sign, verify } from 'node:crypto';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { concatBytes, err, fromHex, ok, toHex, utf8 } from '@postern/core/base';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { bootEvents, eventLogJson } from './boot.ts';
import { padReportData } from './simulator.ts';
import type { Simulator } from './simulator.ts';

export type Method = (simulator: Simulator, request: JsonObject) => Result<JsonObject, string>;

const reportDataBytesMax = 64;
const legacyPrefix = 'app-data';
const legacyHashes: ReadonlySet<string> = new Set(['sha256', 'sha384', 'sha512']);

/** The agent's methods that a simulator can answer honestly; every other one is refused by name. */
export const methods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['GetTlsKey', getTlsKey],
  ['GetKey', getKey],
  ['GetQuote', getQuote],
  ['Attest', attest],
  ['Info', info],
  ['GpuInfo', () => ok({ attestation: '' })],
  ['Sign', signData],
  ['Verify', verifyData],
  ['Version', () => ok({ version: '0.5.9', rev: 'postern-simulator' })],
]);

/** Methods of the predecessor, under `/prpc/Tappd.`. */
export const legacyMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ['DeriveKey', getTlsKey],
  ['TdxQuote', legacyQuote],
  ['RawQuote', getQuote],
  ['Info', info],
]);

function getTlsKey(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const seconds = (name: string): number | undefined => {
    const value = request[name];
    return typeof value === 'number' ? value * 1000 : undefined;
  };
  const [notBeforeMs, notAfterMs] = [seconds('not_before'), seconds('not_after')];
  if (notBeforeMs !== undefined && notAfterMs !== undefined && notBeforeMs >= notAfterMs) {
    return err('not_before must be before not_after');
  }
  const names = request['alt_names'];
  const { keyPem, chain } = simulator.tlsKey({
    subject: textOf(request['subject']),
    altNames: isList(names) ? names.map(textOf) : [],
    usageRaTls: request['usage_ra_tls'] === true,
    usageServerAuth: request['usage_server_auth'] === true,
    usageClientAuth: request['usage_client_auth'] === true,
    ...(notBeforeMs === undefined ? {} : { notBeforeMs }),
    ...(notAfterMs === undefined ? {} : { notAfterMs }),
  });
  return ok({ key: keyPem, certificate_chain: chain });
}

/** The key follows from the path. There is no signature chain: that would need Ethereum's signatures. */
function getKey(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  return ok({ key: toHex(simulator.appKey(textOf(request['path']))), signature_chain: [] });
}

function getQuote(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const reportData = reportDataOf(request);
  if (!reportData.ok) return reportData;
  const { quote, eventLog } = simulator.quote(reportData.value);
  return ok({
    quote: toHex(quote),
    event_log: eventLog,
    report_data: toHex(reportData.value),
    vm_config: '{}',
    attestation: '',
  });
}

function attest(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const reportData = reportDataOf(request);
  if (!reportData.ok) return reportData;
  return ok({ attestation: toHex(simulator.attestation(reportData.value)) });
}

function legacyQuote(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const data = fromHex(textOf(request['report_data']));
  const algorithm = textOf(request['hash_algorithm']) || 'sha512';
  const prefix = textOf(request['prefix']) || legacyPrefix;
  if (data === undefined) return err('report_data is not hex');
  if (algorithm === 'raw') return getQuote(simulator, request);
  if (!legacyHashes.has(algorithm)) return err(`hash algorithm ${algorithm} is not simulated`);
  const content = concatBytes(utf8(`${prefix}:`), data);
  const hash = new Uint8Array(createHash(algorithm).update(content).digest());
  const { quote, eventLog } = simulator.quote(padReportData(hash));
  return ok({ quote: toHex(quote), event_log: eventLog, hash_algorithm: algorithm, prefix });
}

function info(simulator: Simulator): Result<JsonObject, string> {
  const { app } = simulator;
  const fill = (byte: string): string => byte.repeat(48);
  const tcbInfo = {
    mrtd: fill('0d'),
    rtmr0: fill('10'),
    rtmr1: fill('11'),
    rtmr2: fill('12'),
    compose_hash: app.composeHash,
    event_log: eventLogJson(bootEvents(app)),
  };
  return ok({
    app_id: app.appId,
    instance_id: app.instanceId,
    app_name: 'simulated',
    device_id: simulator.deviceId,
    compose_hash: app.composeHash,
    tcb_info: JSON.stringify(tcbInfo),
    key_provider_info: JSON.stringify(app.keyProvider),
    vm_config: '{}',
    cloud_vendor: 'postern',
    cloud_product: 'simulator',
  });
}

function signData(simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const data = fromHex(textOf(request['data']));
  if (request['algorithm'] !== 'ed25519') return err('the simulator signs with ed25519 only');
  if (data === undefined) return err('data is not hex');
  const privateKey = createPrivateKey({
    key: Buffer.from(ed25519Pkcs8(simulator.appKey('sign'))),
    format: 'der',
    type: 'pkcs8',
  });
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return ok({
    signature: sign(null, data, privateKey).toString('hex'),
    signature_chain: [],
    public_key: spki.subarray(-32).toString('hex'),
  });
}

function verifyData(_simulator: Simulator, request: JsonObject): Result<JsonObject, string> {
  const [data, signature, point] = ['data', 'signature', 'public_key'].map((name) =>
    fromHex(textOf(request[name])),
  );
  if (request['algorithm'] !== 'ed25519') return err('the simulator verifies ed25519 only');
  if (data === undefined || signature === undefined || point?.length !== 32) {
    return err('data, signature and public_key are hex');
  }
  const spki = der.sequence(der.sequence(der.oid('1.3.101.112')), der.bitString(point));
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  return ok({ valid: verify(null, data, key, signature) });
}

function ed25519Pkcs8(seed: Uint8Array): Uint8Array {
  const algorithm = der.sequence(der.oid('1.3.101.112'));
  return der.sequence(der.integer(0), algorithm, der.octetString(der.octetString(seed)));
}

function reportDataOf(request: JsonObject): Result<Uint8Array, string> {
  const bytes = fromHex(textOf(request['report_data']));
  if (bytes === undefined) return err('report_data is not hex');
  return bytes.length > reportDataBytesMax
    ? err('report_data is longer than 64 bytes')
    : ok(padReportData(bytes));
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

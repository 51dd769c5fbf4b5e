import { concatBytes, equalBytes, fromHex, toHex, utf8, utf8Text } from '../../base/bytes.ts';
import type { KeyProviderClaim, WorkloadClaims } from '../claims.ts';
import type { CryptoPort } from '../crypto-port.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { RuntimeEvent } from './event.ts';
import { jsonObject } from './json-form.ts';

export interface WorkloadReading {
  readonly workload: WorkloadClaims;
  readonly findings: readonly Finding[];
}

const appIdBytes = 20;
const composeHashBytes = 32;
const lastBootEvent = 'system-ready';
/** Events that name who the workload is. Each occurs once in a boot. */
const identityEvents = ['app-id', 'compose-hash', 'instance-id', 'key-provider'] as const;

/**
 * Who the workload is, from events that replay to the signed register. Only what stands before
 * `system-ready` was written by the system; everything later is the app's own and proves nothing.
 */
export function readBootEvents(events: readonly RuntimeEvent[]): WorkloadReading {
  const end = events.findIndex(({ name }) => name === lastBootEvent);
  const boot = end === -1 ? events : events.slice(0, end);
  const findings: Finding[] = [];
  for (const name of identityEvents) {
    const count = boot.filter((event) => event.name === name).length;
    if (count > 1) findings.push(finding('boot_events_invalid', `${count} ${name} events`));
  }
  const payload = (name: string): Uint8Array | undefined =>
    boot.find((event) => event.name === name)?.payload;
  const identifier = (name: string, bytes: number): string | undefined => {
    const value = payload(name);
    if (value === undefined || value.length === 0) return undefined;
    if (value.length !== bytes) findings.push(finding('boot_events_invalid', name));
    return toHex(value);
  };
  const workload = {
    appId: identifier('app-id', appIdBytes),
    composeHash: identifier('compose-hash', composeHashBytes),
    instanceId: identifier('instance-id', appIdBytes),
    keyProvider: readKeyProvider(payload('key-provider'), findings),
    gpuEvidenceHash: readGpuEvidence(payload('gpu-attestation'), findings),
  };
  return { workload, findings };
}

function readKeyProvider(
  payload: Uint8Array | undefined,
  findings: Finding[],
): KeyProviderClaim | undefined {
  if (payload === undefined) return undefined;
  const object = jsonObject(utf8Text(payload) ?? '');
  const name = object?.['name'];
  const id = object?.['id'];
  if (typeof name === 'string' && typeof id === 'string' && fromHex(id) !== undefined) {
    return { name, id: id.toLowerCase() };
  }
  findings.push(finding('boot_events_invalid', 'key-provider'));
  return undefined;
}

function readGpuEvidence(payload: Uint8Array | undefined, findings: Finding[]): string | undefined {
  if (payload === undefined) return undefined;
  const hash = jsonObject(utf8Text(payload) ?? '')?.['evidence_sha256'];
  if (typeof hash === 'string' && fromHex(hash)?.length === 32) return hash.toLowerCase();
  findings.push(finding('boot_events_invalid', 'gpu-attestation'));
  return undefined;
}

const configDomain = utf8('dstack-mr-config-v3:');

/** SHA-256 by which HOST_DATA (SEV-SNP) and MRCONFIGID (TDX, form 3) bind a configuration document. */
export function configDocumentHash(document: string, crypto: CryptoPort): Uint8Array {
  return crypto.sha256(concatBytes(configDomain, Uint8Array.of(0), utf8(document)));
}

/** Kind bytes of MRCONFIGID form 2, by the names that boot events use. */
const keyProviderKinds: ReadonlyMap<string, number> = new Map([
  ['none', 0],
  ['local-sgx', 1],
  ['kms', 2],
  ['tpm', 3],
]);

/** Who the workload is, from a configuration document whose hash the hardware signed. */
export function readConfigDocument(document: string): WorkloadClaims | undefined {
  const object = jsonObject(document);
  if (object === undefined || (object['version'] ?? 3) !== 3) return undefined;
  const identifier = (key: string, bytes: number): string | undefined => {
    const value = object[key];
    const read = typeof value === 'string' ? fromHex(value) : undefined;
    return read?.length === bytes ? toHex(read) : undefined;
  };
  const composeHash = identifier('compose_hash', composeHashBytes);
  const provider = object['key_provider'];
  // The document calls `local` what boot events call `local-sgx`.
  const name = provider === 'local' ? 'local-sgx' : provider;
  if (composeHash === undefined || typeof name !== 'string' || !keyProviderKinds.has(name)) {
    return undefined;
  }
  const id = object['key_provider_id'];
  const keyProvider = { name, id: typeof id === 'string' ? id.toLowerCase() : '' };
  const appId = identifier('app_id', appIdBytes);
  const instanceId = identifier('instance_id', appIdBytes);
  return { appId, composeHash, instanceId, keyProvider, gpuEvidenceHash: undefined };
}

/**
 * Compares MRCONFIGID with what the boot events say. All zero: the host set none. Forms 1 and 2 are
 * recomputed from the events; form 3 needs the document, which must agree with the events.
 */
export function mrConfigFindings(
  mrConfigId: Uint8Array,
  workload: WorkloadClaims,
  context: { readonly document: string | undefined; readonly crypto: CryptoPort },
): Finding[] {
  const { crypto, document } = context;
  if (mrConfigId.every((byte) => byte === 0)) return [];
  const mismatch = [finding('config_binding_invalid', `MRCONFIGID ${toHex(mrConfigId)}`)];
  const isBound = (value: Uint8Array | undefined): boolean =>
    value !== undefined &&
    equalBytes(mrConfigId.subarray(1, 33), value) &&
    mrConfigId.subarray(33).every((byte) => byte === 0);
  switch (mrConfigId[0] ?? 0) {
    case 1:
      return isBound(fromHex(workload.composeHash ?? '')) ? [] : mismatch;
    case 2:
      return isBound(secondForm(workload, crypto)) ? [] : mismatch;
    case 3: {
      if (document === undefined || !isBound(configDocumentHash(document, crypto))) return mismatch;
      const stated = readConfigDocument(document);
      const agrees =
        stated?.composeHash === workload.composeHash &&
        (stated?.appId === undefined || stated.appId === workload.appId);
      return agrees ? [] : mismatch;
    }
    default:
      return mismatch;
  }
}

function secondForm(workload: WorkloadClaims, crypto: CryptoPort): Uint8Array | undefined {
  const { composeHash, appId, keyProvider } = workload;
  if (composeHash === undefined || appId === undefined || keyProvider === undefined) {
    return undefined;
  }
  const kind = keyProviderKinds.get(keyProvider.name);
  const parts = [fromHex(composeHash), fromHex(appId), fromHex(keyProvider.id)];
  const [compose, app, id] = parts;
  if (kind === undefined || compose === undefined || app === undefined || id === undefined) {
    return undefined;
  }
  return crypto.keccak256(concatBytes(compose, app, Uint8Array.of(kind), id));
}

/** The configuration document inside dstack's host-supplied config, at either of its two places. */
export function documentInConfig(config: string): string | undefined {
  const outer = jsonObject(config);
  const direct = outer?.['mr_config'];
  if (typeof direct === 'string') return direct;
  const nested = outer?.['vm_config'];
  const inner = typeof nested === 'string' ? jsonObject(nested)?.['mr_config'] : undefined;
  return typeof inner === 'string' ? inner : undefined;
}

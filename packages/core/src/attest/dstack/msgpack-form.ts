import { fromHex } from '../../base/bytes.ts';
import { malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import { readMsgpack } from '../../base/msgpack/index.ts';
import type { MsgpackMap, MsgpackValue } from '../../base/msgpack/index.ts';
import type { Result } from '../../base/result.ts';
import type { DstackAttestation, DstackPlatform } from './form.ts';
import { eventLimits } from './event.ts';
import type { LogEvent, RuntimeEvent } from './event.ts';

const certificatesMax = 8;
const reportDataBytes = 64;

/** Form V1: a MessagePack map with named fields. Fields that nobody defined are refused. */
export function parseMsgpackAttestation(bytes: Uint8Array): Result<DstackAttestation, Malformed> {
  return reading(() => {
    const value = readMsgpack(bytes);
    if (!value.ok) return malformed(value.error.what, value.error.offset);
    const root = record(value.value, ['version', 'platform', 'stack']);
    if (root.get('version') !== 1) return malformed('version is not 1');
    return { platform: readPlatform(root.get('platform')), ...readStack(root.get('stack')) };
  });
}

function readPlatform(value: MsgpackValue | undefined): DstackPlatform {
  const { kind, data } = tagged(value);
  if (kind === 'tdx') {
    const fields = record(data, ['quote', 'event_log']);
    const eventLog = list(fields.get('event_log'), eventLimits.eventsMax).map(readLogEvent);
    return { kind: 'tdx', quote: byteString(fields.get('quote')), eventLog };
  }
  if (kind === 'nitro-enclave') {
    return { kind: 'nitro', document: byteString(record(data, ['nsm_quote']).get('nsm_quote')) };
  }
  if (kind !== 'sev-snp') return malformed(`platform ${kind} is not supported`);
  const fields = record(data, ['report', 'cert_chain', 'mr_config']);
  return {
    kind: 'sev-snp',
    report: byteString(fields.get('report')),
    certificates: list(fields.get('cert_chain'), certificatesMax).map(byteString),
    mrConfig: textOf(fields.get('mr_config')),
  };
}

function readStack(value: MsgpackValue | undefined): Omit<DstackAttestation, 'platform'> {
  const { kind, data } = tagged(value);
  const isPod = kind === 'dstack-pod';
  if (!isPod && kind !== 'dstack') return malformed(`stack ${kind} is not supported`);
  const common = ['report_data', 'runtime_events', 'config'];
  const fields = record(data, isPod ? [...common, 'report_data_payload'] : common);
  const reportData = byteString(fields.get('report_data'));
  if (reportData.length !== reportDataBytes) return malformed('report data is not 64 bytes');
  return {
    reportData,
    runtimeEvents: list(fields.get('runtime_events'), eventLimits.eventsMax).map(readRuntimeEvent),
    config: textOf(fields.get('config')),
    reportDataPayload: isPod ? textOf(fields.get('report_data_payload')) : undefined,
  };
}

function tagged(value: MsgpackValue | undefined): {
  readonly kind: string;
  readonly data: MsgpackValue | undefined;
} {
  const fields = record(value, ['kind', 'data']);
  return { kind: textOf(fields.get('kind')), data: fields.get('data') };
}

function readLogEvent(value: MsgpackValue): LogEvent {
  const required = ['imr', 'event_type', 'event', 'event_payload'];
  const fields = record(value, required, ['digest', 'version', 'preimage']);
  const digest = fields.get('digest');
  const preimage = fields.get('preimage');
  return {
    register: whole(fields.get('imr')),
    type: whole(fields.get('event_type')),
    digest: digest === undefined ? new Uint8Array() : byteString(digest),
    name: textOf(fields.get('event')),
    payload: byteString(fields.get('event_payload')),
    version: eventVersion(fields.get('version')),
    preimage: preimage === undefined || preimage === null ? undefined : hexOf(preimage),
  };
}

function readRuntimeEvent(value: MsgpackValue): RuntimeEvent {
  const fields = record(value, ['event', 'payload'], ['version']);
  return {
    name: textOf(fields.get('event')),
    payload: byteString(fields.get('payload')),
    version: eventVersion(fields.get('version')),
  };
}

function eventVersion(value: MsgpackValue | undefined): 1 | 2 {
  if (value === undefined || value === 1) return 1;
  return value === 2 ? 2 : malformed('event version');
}

function record(
  value: MsgpackValue | undefined,
  required: readonly string[],
  optional: readonly string[] = [],
): MsgpackMap {
  if (!(value instanceof Map)) return malformed('not a map');
  const fields: MsgpackMap = value;
  for (const key of required) if (!fields.has(key)) malformed(`no field ${key}`);
  for (const key of fields.keys()) {
    if (!required.includes(key) && !optional.includes(key)) malformed(`unknown field ${key}`);
  }
  return fields;
}

function list(value: MsgpackValue | undefined, most: number): readonly MsgpackValue[] {
  return Array.isArray(value) && value.length <= most ? value : malformed('not a list in bounds');
}

/** Bytes as binary, or as an array of integers: serde writes the latter for a plain `Vec<u8>`. */
function byteString(value: MsgpackValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  const items = list(value, Number.MAX_SAFE_INTEGER);
  return Uint8Array.from(items, (item) => {
    const isByte = typeof item === 'number' && item >= 0 && item <= 255;
    return isByte ? item : malformed('not a byte');
  });
}

function textOf(value: MsgpackValue | undefined): string {
  return typeof value === 'string' ? value : malformed('not text');
}

function hexOf(value: MsgpackValue): Uint8Array {
  return fromHex(textOf(value)) ?? malformed('not hex');
}

function whole(value: MsgpackValue | undefined): number {
  return typeof value === 'number' && value >= 0 && value <= 0xffff_ffff
    ? value
    : malformed('not an unsigned 32-bit number');
}

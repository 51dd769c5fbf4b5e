import { ByteCursor, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';
import { readScaleBytes, readScaleText, readScaleVector } from '../../base/scale/index.ts';
import type { DstackAttestation, DstackPlatform } from './form.ts';
import { eventLimits } from './event.ts';
import type { LogEvent, RuntimeEvent } from './event.ts';

/** Platform numbers of the SCALE form. 1 (TDX on Google Cloud) and 4 (NitroTPM) wrap TPM quotes. */
const variant = { tdx: 0, nitro: 2, snp: 3 } as const;
/** Chip, ASK and ARK certificates with room for a VLEK chain. */
const certificatesMax = 8;
const reportDataBytes = 64;

/** Form V0: a zero byte, then the SCALE encoding of dstack's attestation. */
export function parseScaleAttestation(bytes: Uint8Array): Result<DstackAttestation, Malformed> {
  return reading(() => {
    const cursor = new ByteCursor(bytes);
    if (cursor.u8('form') !== 0) cursor.fail('not form 0');
    const platform = readPlatform(cursor);
    const events = { what: 'runtime events', itemBytesMin: 2, itemsMax: eventLimits.eventsMax };
    const runtimeEvents = readScaleVector(cursor, events, readRuntimeEvent);
    const reportData = cursor.take(reportDataBytes, 'report data');
    const config = readScaleText(cursor, 'config');
    cursor.end('the attestation');
    return { platform, runtimeEvents, reportData, config, reportDataPayload: undefined };
  });
}

function readPlatform(cursor: ByteCursor): DstackPlatform {
  const kind = cursor.u8('platform');
  if (kind === variant.tdx) {
    const quote = readScaleBytes(cursor, 'quote');
    const events = { what: 'event log', itemBytesMin: 11, itemsMax: eventLimits.eventsMax };
    return { kind: 'tdx', quote, eventLog: readScaleVector(cursor, events, readLogEvent) };
  }
  if (kind === variant.nitro) {
    return { kind: 'nitro', document: readScaleBytes(cursor, 'document') };
  }
  if (kind !== variant.snp) return cursor.fail(`platform ${kind} is not supported`);
  const report = readScaleBytes(cursor, 'report');
  const chain = { what: 'certificates', itemBytesMin: 1, itemsMax: certificatesMax };
  const certificates = readScaleVector(cursor, chain, (item) =>
    readScaleBytes(item, 'certificate'),
  );
  return { kind: 'sev-snp', report, certificates, mrConfig: readScaleText(cursor, 'mr config') };
}

function readLogEvent(cursor: ByteCursor): LogEvent {
  return {
    register: cursor.u32le('register'),
    type: cursor.u32le('event type'),
    digest: readScaleBytes(cursor, 'digest'),
    name: readScaleText(cursor, 'event'),
    payload: readScaleBytes(cursor, 'payload'),
    version: 1,
    preimage: undefined,
  };
}

function readRuntimeEvent(cursor: ByteCursor): RuntimeEvent {
  const name = readScaleText(cursor, 'event');
  return { name, payload: readScaleBytes(cursor, 'payload'), version: 1 };
}

import { createHash } from 'node:crypto';
import { concatBytes, fromHex, present, utf8 } from '@postern/core/base';
import { writeMsgpack } from '@postern/core/base/msgpack';
import type { MsgpackValue } from '@postern/core/base/msgpack';
import { writeCompact, writeScaleBytes, writeScaleText } from '@postern/core/base/scale';
import { eventPreimage, runtimeEventType } from '@postern/core/attest';
import type { RuntimeEvent } from '@postern/core/attest';
import { u32le } from './issue.ts';

/** Who the simulated workload is. Ids and hashes in hex. */
export interface SimulatedApp {
  readonly appId: string;
  readonly composeHash: string;
  readonly instanceId: string;
  readonly keyProvider: { readonly name: string; readonly id: string };
}

/** The events of a dstack boot, in its order. */
export function bootEvents(app: SimulatedApp): RuntimeEvent[] {
  const event = (name: string, payload: Uint8Array = new Uint8Array()): RuntimeEvent => ({
    name,
    payload,
    version: 1,
  });
  const hex = (text: string): Uint8Array => present(fromHex(text), `hex: ${text}`);
  return [
    event('system-preparing'),
    event('app-id', hex(app.appId)),
    event('compose-hash', hex(app.composeHash)),
    event('instance-id', hex(app.instanceId)),
    event('boot-mr-done'),
    event('key-provider', utf8(JSON.stringify(app.keyProvider))),
    event('storage-fs', utf8('zfs')),
    event('system-ready'),
  ];
}

export function eventDigest(event: RuntimeEvent): Uint8Array {
  return sha384(eventPreimage(event));
}

/** RTMR3 after these events. */
export function replayEvents(events: readonly RuntimeEvent[]): Uint8Array {
  let register: Uint8Array = new Uint8Array(48);
  for (const event of events) register = sha384(concatBytes(register, eventDigest(event)));
  return register;
}

function sha384(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(bytes).digest());
}

/** The event log as `GetQuote` and certificate extension .2 write it. */
export function eventLogJson(events: readonly RuntimeEvent[]): string {
  return JSON.stringify(
    events.map((event) => ({
      imr: 3,
      event_type: runtimeEventType,
      digest: Buffer.from(eventDigest(event)).toString('hex'),
      event: event.name,
      event_payload: Buffer.from(event.payload).toString('hex'),
      ...(event.version === 2
        ? { version: 2, preimage: Buffer.from(eventPreimage(event)).toString('hex') }
        : {}),
    })),
  );
}

export interface WrappedEvidence {
  readonly quote: Uint8Array;
  readonly events: readonly RuntimeEvent[];
  readonly reportData: Uint8Array;
  readonly config: string;
}

/** The versioned attestation in its SCALE form (V0) for TDX. */
export function writeScaleForm({ quote, events, reportData, config }: WrappedEvidence): Uint8Array {
  const log = events.map((event) =>
    concatBytes(
      u32le(3),
      u32le(runtimeEventType),
      writeScaleBytes(new Uint8Array()),
      writeScaleText(event.name),
      writeScaleBytes(event.payload),
    ),
  );
  const runtime = events.map((event) =>
    concatBytes(writeScaleText(event.name), writeScaleBytes(event.payload)),
  );
  return concatBytes(
    Uint8Array.of(0, 0),
    writeScaleBytes(quote),
    writeCompact(log.length),
    ...log,
    writeCompact(runtime.length),
    ...runtime,
    reportData,
    writeScaleText(config),
  );
}

/** The versioned attestation in its MessagePack form (V1) for TDX. A payload makes it a `dstack-pod`. */
export function writeMsgpackForm(evidence: WrappedEvidence, payload?: string): Uint8Array {
  const { quote, events, reportData, config } = evidence;
  const record = (fields: Record<string, MsgpackValue>): MsgpackValue =>
    new Map(Object.entries(fields));
  const version = (event: RuntimeEvent): Record<string, MsgpackValue> =>
    event.version === 2 ? { version: 2 } : {};
  const log = events.map((event) =>
    record({
      imr: 3,
      event_type: runtimeEventType,
      digest: new Uint8Array(),
      event: event.name,
      event_payload: event.payload,
      ...version(event),
    }),
  );
  const runtime = events.map((event) =>
    record({ event: event.name, payload: event.payload, ...version(event) }),
  );
  const stack = { report_data: reportData, runtime_events: runtime, config };
  return writeMsgpack(
    record({
      version: 1,
      platform: record({ kind: 'tdx', data: record({ quote, event_log: log }) }),
      stack: record({
        kind: payload === undefined ? 'dstack' : 'dstack-pod',
        data: record(payload === undefined ? stack : { ...stack, report_data_payload: payload }),
      }),
    }),
  );
}

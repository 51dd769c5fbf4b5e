import { fromHex, utf8 } from '../../base/bytes.ts';
import { malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import { readJson } from '../../base/json/index.ts';
import type { JsonLimits } from '../../base/json/index.ts';
import type { JsonObject, JsonValue } from '../../base/json-value.ts';
import type { Result } from '../../base/result.ts';
import { eventLimits } from './event.ts';
import type { LogEvent } from './event.ts';

/** What the guest agent answers to `GetQuote`. */
export interface QuoteAnswer {
  readonly quote: Uint8Array;
  readonly eventLog: readonly LogEvent[];
  /** The answer's copy of the report data, padded to 64 bytes. Only the one inside the quote counts. */
  readonly reportData: Uint8Array;
  readonly config: string;
  /** A versioned attestation, where the platform is not TDX; the quote is empty then. */
  readonly attestation: Uint8Array | undefined;
}

const answerLimits: JsonLimits = {
  bytesMax: 4 << 20,
  depthMax: 8,
  keysPerObjectMax: 64,
  valuesMax: 65_536,
  stringBytesMax: 4 << 20,
  numberCharsMax: 20,
  duplicateKeys: 'refuse',
};

const reportDataBytes = 64;

export function parseQuoteAnswer(bytes: Uint8Array): Result<QuoteAnswer, Malformed> {
  return reading(() => {
    const root = object(parse(bytes));
    const reportData = new Uint8Array(reportDataBytes);
    const stated = hex(root['report_data']);
    if (stated.length > reportDataBytes) return malformed('report data of more than 64 bytes');
    reportData.set(stated);
    const attestation = root['attestation'];
    const config = root['vm_config'] === undefined ? '' : textOf(root['vm_config']);
    const quote = hex(root['quote']);
    if (quote.length === 0 && attestation !== undefined) {
      return { quote, eventLog: [], reportData, config, attestation: hex(attestation) };
    }
    const eventLog = readEvents(parse(utf8(textOf(root['event_log']))));
    return { quote, eventLog, reportData, config, attestation: undefined };
  });
}

/** The event log as certificates (extension .2) carry it: a JSON array. */
export function parseEventLog(bytes: Uint8Array): Result<readonly LogEvent[], Malformed> {
  return reading(() => readEvents(parse(bytes)));
}

/** A small JSON object inside evidence, or undefined where the text is none. Duplicate keys are refused. */
export function jsonObject(text: string): JsonObject | undefined {
  const read = reading(() => object(parse(utf8(text))));
  return read.ok ? read.value : undefined;
}

function parse(bytes: Uint8Array): JsonValue {
  const value = readJson(bytes, answerLimits);
  return value.ok ? value.value : malformed(value.error.message);
}

function readEvents(value: JsonValue): readonly LogEvent[] {
  if (!Array.isArray(value)) return malformed('event log is not a list');
  // Array.isArray gives any[] for a readonly array; the elements are JSON values by the parser.
  const items = value as readonly JsonValue[];
  if (items.length > eventLimits.eventsMax) return malformed('too many events');
  return items.map((item) => readEvent(object(item)));
}

function readEvent(event: JsonObject): LogEvent {
  const version = event['version'];
  if (version !== undefined && version !== 1 && version !== 2) return malformed('event version');
  const preimage = event['preimage'];
  return {
    register: whole(event['imr']),
    type: whole(event['event_type']),
    digest: event['digest'] === undefined ? new Uint8Array() : hex(event['digest']),
    name: textOf(event['event']),
    payload: hex(event['event_payload']),
    version: version ?? 1,
    preimage: preimage === undefined || preimage === null ? undefined : hex(preimage),
  };
}

function object(value: JsonValue | undefined): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return malformed('not an object');
  }
  // Neither null nor an array, so it is the object member of the union.
  return value as JsonObject;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : malformed('not text');
}

function hex(value: JsonValue | undefined): Uint8Array {
  const text = textOf(value);
  return fromHex(text.startsWith('0x') ? text.slice(2) : text) ?? malformed('not hex');
}

function whole(value: JsonValue | undefined): number {
  const isWhole = typeof value === 'number' && Number.isInteger(value);
  return isWhole && value >= 0 && value <= 0xffff_ffff ? value : malformed('not a number in range');
}

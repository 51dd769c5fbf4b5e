import { utf8Text } from '../bytes.ts';
import type { JsonObject, JsonValue } from '../json-value.ts';
import { err, ok } from '../result.ts';
import type { Result } from '../result.ts';
import type { JsonLimits } from './limits.ts';
import { answerJsonLimits } from './limits.ts';
import { locateProblem } from './locate.ts';
import { topLevelMembers } from './members.ts';
import type { JsonMember } from './members.ts';
import { firstBadUtf8, problemAt } from './problem.ts';
import type { JsonProblem } from './problem.ts';
import { scanLimits } from './scan.ts';

/** A JSON text that was read: the text itself, its value, and where its top-level members stand. */
export interface JsonDocument {
  readonly text: string;
  readonly value: JsonValue;
  /** Spans of the top-level members, empty where the value is no object. Computed at the first call. */
  members(): readonly JsonMember[];
}

/**
 * Reads strict JSON (RFC 8259) from UTF-8 bytes. The native parser does the grammar; one scan before it holds the
 * limits and counts keys; one walk after it takes the prototypes off. Fewer keys in the value than in the text
 * means that one was named twice, in whatever spelling. Only a refused text is read a second time, for its position.
 */
export function parseJson(
  bytes: Uint8Array,
  limits: JsonLimits,
): Result<JsonDocument, JsonProblem> {
  if (bytes.length > limits.bytesMax) {
    return err(
      problemAt(
        bytes,
        limits.bytesMax,
        'too_large',
        `The text is longer than ${limits.bytesMax} bytes`,
      ),
    );
  }
  const text = utf8Text(bytes);
  if (text === undefined) {
    return err(
      problemAt(bytes, firstBadUtf8(bytes) ?? 0, 'not_utf8', 'The text is not valid UTF-8'),
    );
  }
  const counts = scanLimits(bytes, limits);
  if ('reason' in counts) return err(counts);
  const value = jsonAsParsed(text);
  if (value === undefined) return err(located(bytes, limits));
  const census = { keys: 0, isFinite: true };
  bare(value, census);
  const isDuplicated = limits.duplicateKeys === 'refuse' && census.keys !== counts.keys;
  if (isDuplicated || !census.isFinite) return err(located(bytes, limits));
  return ok(new ReadDocument(text, value));
}

/** Reads an upstream's answer: the same strictness about the grammar, looser limits, the last of two equal keys. */
export function readJson(
  bytes: Uint8Array,
  limits: JsonLimits = answerJsonLimits,
): Result<JsonValue, JsonProblem> {
  const document = parseJson(bytes, limits);
  return document.ok ? ok(document.value.value) : document;
}

/**
 * The value of a text that some dialect embeds (tool arguments, frames), or undefined where it is not JSON. For texts
 * whose size is bounded already: it checks nothing but the grammar and takes the prototypes off.
 */
export function jsonValueOf(text: string): JsonValue | undefined {
  const value = jsonAsParsed(text);
  if (value === undefined) return undefined;
  const census = { keys: 0, isFinite: true };
  return bare(value, census) && census.isFinite ? value : undefined;
}

/**
 * The value of a text as the platform reads it, prototypes and all: for the few readers that ask for members by names of
 * their own, check what they get, and keep nothing of it. Taking the prototypes off costs as much as the reading.
 */
export function jsonAsParsed(text: string): JsonValue | undefined {
  try {
    // What JSON.parse gives is a JsonValue by definition; its type says `any`.
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

/** Like `jsonValueOf`, for texts that have to be objects. */
export function jsonObjectOf(text: string): JsonObject | undefined {
  const value = jsonValueOf(text);
  return isJsonObject(value) ? value : undefined;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An object to fill key by key: without a prototype, so that no key means anything special. */
export function emptyObject(): Record<string, JsonValue> {
  // Object.create is typed as `any`; an object without prototype and members is this record.
  return Object.create(null) as Record<string, JsonValue>;
}

class ReadDocument implements JsonDocument {
  readonly text: string;
  readonly value: JsonValue;
  #members: readonly JsonMember[] | undefined;

  constructor(text: string, value: JsonValue) {
    this.text = text;
    this.value = value;
  }

  members(): readonly JsonMember[] {
    this.#members ??= isJsonObject(this.value) ? topLevelMembers(this.text) : [];
    return this.#members;
  }
}

/** Recursion is safe for scanned texts (depth is limited); deeper unscanned ones give false instead of overflowing. */
const walkDepthMax = 512;

/** Takes the prototype off every object inside and counts keys. V8 keeps such objects in their fast form. */
function bare(value: JsonValue, census: { keys: number; isFinite: boolean }, depth = 0): boolean {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) census.isFinite = false;
    return true;
  }
  if (typeof value !== 'object' || value === null) return true;
  if (depth > walkDepthMax) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!bare(item, census, depth + 1)) return false;
    return true;
  }
  // `Array.isArray` does not narrow readonly arrays away; what is left here is an object.
  const object = value as JsonObject;
  Object.setPrototypeOf(object, null);
  for (const key in object) {
    census.keys += 1;
    if (!bare(object[key] ?? null, census, depth + 1)) return false;
  }
  return true;
}

function located(bytes: Uint8Array, limits: JsonLimits): JsonProblem {
  return (
    locateProblem(bytes, limits) ?? problemAt(bytes, bytes.length, 'syntax', 'The text is not JSON')
  );
}

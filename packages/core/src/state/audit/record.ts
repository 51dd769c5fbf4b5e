import { Fault, isJsonObject, jsonAsParsed, slowDecimals } from '@postern/core/base';
import { canonicalJson } from '../canonical.ts';
import { auditLimits } from './limits.ts';

/** What a record may hold: integers, texts, booleans, and lists and objects of these. Never a fraction, never null. */
export type AuditValue =
  | string
  | number
  | boolean
  | readonly AuditValue[]
  | { readonly [key: string]: AuditValue | undefined };

export type AuditFields = { readonly [key: string]: AuditValue | undefined };

/** One thing that happened, before it has a place in the log. */
export interface AuditRecord {
  /** What kind of thing, such as `request`; it and `v` say which fields there are. */
  readonly kind: string;
  /** Version of the fields of this kind. Fields are added without a new one; it changes when one changes its meaning. */
  readonly v: number;
  readonly atMs: number;
  /** Undefined fields are left out. */
  readonly fields: AuditFields;
  /** `fieldsText(fields)`, where whoever made the record has it already: hot records are written by hand. */
  readonly text?: string;
}

/** A record at its place. */
export interface PlacedRecord extends AuditRecord {
  /** 1 for the first record of a log. */
  readonly index: number;
}

const keyForm = /^[a-z][a-z0-9_]{0,63}$/;
const kindForm = /^[a-z][a-z0-9_.-]{0,63}$/;

/** Names that were found well formed are known: they come from code, so there are few. The bound is for a defect. */
const knownNamesMax = 1_024;
const isKey = knownAs(keyForm);
const isKind = knownAs(kindForm);

/** Whether a name has the form; looked at once for each. */
function knownAs(form: RegExp): (name: string) => boolean {
  const known = new Set<string>();
  return (name) => {
    if (known.has(name)) return true;
    if (!form.test(name)) return false;
    if (known.size < knownNamesMax) known.add(name);
    return true;
  };
}

const timeText = slowDecimals();
const indexText = slowDecimals();

/**
 * The body of a record: canonical JSON (RFC 8785) of `{"at","data","i","kind","v"}`. Texts are made well formed and cut
 * to `auditLimits.textCharsMax`; everything else that the format does not have is a defect and throws `Fault`.
 */
export function recordBody(record: AuditRecord, index: number): string {
  const { kind, v, atMs } = record;
  if (!Number.isSafeInteger(atMs) || !Number.isSafeInteger(v) || !isKind(kind)) {
    throw new Fault(`an audit record of kind ${kind} has a broken envelope`);
  }
  const data = record.text ?? fieldsText(record.fields);
  return `{"at":${timeText(atMs)},"data":${data},"i":${indexText(index)},"kind":"${kind}","v":${v}}`;
}

/**
 * Fields as canonical JSON. Most records are written with their fields in order and need nothing done to them; then this
 * is one native call.
 */
export function fieldsText(fields: AuditFields): string {
  return isPlain(fields) ? JSON.stringify(fields) : canonicalJson(tidyFields(fields));
}

function isPlain(fields: AuditFields): boolean {
  let last = '';
  for (const key in fields) {
    const value = fields[key];
    if (key <= last || !isKey(key)) return false;
    last = key;
    if (typeof value === 'string') {
      if (!isPlainText(value)) return false;
    } else if (typeof value === 'number') {
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) return false;
    } else if (typeof value === 'object' && !(isList(value) && value.every(isPlainText))) {
      return false;
    }
  }
  return true;
}

function isPlainText(value: AuditValue): boolean {
  return (
    typeof value === 'string' && value.length <= auditLimits.textCharsMax && value.isWellFormed()
  );
}

function tidyFields(fields: AuditFields): Record<string, unknown> {
  const tidied: [string, unknown][] = [];
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (!isKey(key)) throw new Fault('an audit record has a field whose name is not one');
    tidied.push([key, tidy(value)]);
  }
  return Object.fromEntries(tidied);
}

function tidy(value: AuditValue): unknown {
  if (typeof value === 'string') {
    return value.slice(0, auditLimits.textCharsMax).toWellFormed();
  }
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value))
      throw new Fault('an audit record has a number that is no integer');
    return value + 0;
  }
  if (typeof value === 'boolean') return value;
  return isList(value) ? value.map(tidy) : tidyFields(value);
}

/** `Array.isArray` alone does not narrow a readonly array. */
function isList(value: AuditValue): value is readonly AuditValue[] {
  return Array.isArray(value);
}

/** The greatest time of ECMAScript, section 21.4.1.1. */
const calendarMsMax = 8.64e15;

/** A time as RFC 3339; the number itself where no calendar reaches it: a log may hold what somebody else wrote. */
export function recordTime(atMs: number): string {
  return Math.abs(atMs) <= calendarMsMax ? new Date(atMs).toISOString() : String(atMs);
}

/**
 * The record of a body, or undefined where it is none: JSON of five members in canonical order, whose envelope is written
 * as the format says. That the fields are canonical, the hash says.
 */
export function readBody(body: string): PlacedRecord | undefined {
  const [, shownAt, shownIndex, shownV] = envelopeForm.exec(body) ?? [];
  if (shownAt === undefined) return undefined;
  const value = jsonAsParsed(body);
  if (!isJsonObject(value) || !isWithin(value, auditLimits.depthMax)) return undefined;
  const { at, data, i, kind, v } = value;
  if (!isInteger(at, shownAt) || !isInteger(i, shownIndex) || !isInteger(v, shownV))
    return undefined;
  if (typeof kind !== 'string') return undefined;
  if (!isJsonObject(data) || Object.keys(value).length !== 5) return undefined;
  // JSON of our own writing: what it cannot hold (null, fractions) no reader of a record depends on.
  return { kind, v, atMs: at, index: i, fields: data as AuditFields };
}

const envelopeForm =
  /^\{"at":(0|-?[1-9]\d{0,15}),"data":\{[^]*\},"i":([1-9]\d{0,15}),"kind":"[a-z][a-z0-9_.-]{0,63}","v":(0|-?[1-9]\d{0,15})\}$/;

/** Whether nothing in it lies in more than so many lists and objects. */
function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  // A list has its indexes as keys.
  for (const key in value) {
    if (!isWithin((value as Readonly<Record<string, unknown>>)[key], levels - 1)) return false;
  }
  return true;
}

/** Whether a member, which JSON may hold twice, has the value that the envelope shows. */
function isInteger(value: unknown, shown: string | undefined): value is number {
  return Number.isSafeInteger(value) && value === Number(shown);
}

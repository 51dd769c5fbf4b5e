import { fromHex, present } from '@postern/core/base';
import type { CaseResult } from '../suite.ts';

/** What a case file holds. Wrong shapes are failures of a case, never of the harness. */
export type Json = unknown;
export type JsonObject = Readonly<Record<string, Json>>;

export function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objects(value: Json): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function textOf(holder: JsonObject, field: string): string {
  const value = holder[field];
  if (typeof value !== 'string') throw new Error(`no text field ${field}`);
  return value;
}

export function numberOf(holder: JsonObject, field: string): number {
  const value = holder[field];
  if (typeof value !== 'number') throw new Error(`no number field ${field}`);
  return value;
}

export function bytesOf(holder: JsonObject, field: string): Uint8Array {
  return present(fromHex(textOf(holder, field).toLowerCase()), `hex in ${field}`);
}

/** Passes where the question gives no complaint. What it throws is a complaint too. */
export function judged(id: string, question: () => string | undefined): CaseResult {
  try {
    const why = question();
    return why === undefined ? { id, pass: true } : { id, pass: false, why };
  } catch (fault) {
    return { id, pass: false, why: String(fault) };
  }
}

export function differs(got: unknown, want: unknown, what = 'value'): string | undefined {
  return got === want ? undefined : `${what}: got ${String(got)}, want ${String(want)}`;
}

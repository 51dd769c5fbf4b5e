import type { JsonObject, Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { ApiCall } from './ports.ts';

/** A body that is one JSON object; none is an empty one. */
export function bodyOf(text: string): Result<JsonObject, Refusal> {
  if (text.trim() === '') return ok({});
  try {
    // What JSON.parse gives is JSON.
    const value = JSON.parse(text) as Parameters<typeof isJsonObject>[0];
    if (isJsonObject(value)) return ok(value);
  } catch {
    // The same answer as for what is no object.
  }
  return refuse('invalid_json', 'The body is not one JSON object.');
}

export function flagOf(body: JsonObject, name: string): boolean | undefined {
  const value = body[name];
  return typeof value === 'boolean' ? value : undefined;
}

export function textsOf(body: JsonObject, name: string): Result<readonly string[], Refusal> {
  const value = body[name] ?? [];
  if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return ok(value);
  return refuse('invalid_request', `${name}: a list of texts is needed`, { param: name });
}

/** API v2 writes a time that there is none of as an empty text. */
export function timeText(atMs: number): string {
  return atMs === 0 ? '' : new Date(atMs).toISOString();
}

export function notHere({ method, path }: ApiCall): Result<never, Refusal> {
  return refuse('not_found', `${method} ${path.join('/')}: this engine has no such call.`);
}

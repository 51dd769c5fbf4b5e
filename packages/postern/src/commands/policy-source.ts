import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, isJsonObject, jsonValueOf, ok, utf8Text } from '@postern/core/base';
import { policyBytesMax } from '@postern/core/policy';
import { policyFileOf, resolveSettings } from '@postern/server/app/settings';
import type { ClientProblem } from '../client/index.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';

/** A policy text and how people know where it came from. */
export interface PolicyText {
  readonly name: string;
  readonly text: string;
}

/** The file that was named, standard input for `-`, else `policy.hujson` beside the configuration. */
export async function readPolicy(
  io: Io,
  named: string | undefined,
): Promise<Result<PolicyText, ClientProblem>> {
  if (named === '-') {
    const text = await io.input(policyBytesMax);
    return text === undefined
      ? problem('There is no policy on standard input, or it is too long.')
      : ok({ name: 'standard input', text });
  }
  const file = named ?? policyFileOf(resolveSettings(io.flags, io.env));
  try {
    const bytes = await readFile(file);
    if (bytes.length > policyBytesMax)
      return problem(`${file} has more than ${policyBytesMax} bytes.`);
    const text = utf8Text(bytes);
    return text === undefined ? problem(`${file} is not UTF-8.`) : ok({ name: file, text });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'error';
    return problem(`${file} cannot be read (${code}).`);
  }
}

function problem(message: string): Result<never, ClientProblem> {
  return err({ exit: exitCodes.config, message });
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A report as JSON, in the very shape in which a running Postern answers. */
export function jsonOf(report: unknown): JsonObject {
  return objectOf(jsonValueOf(JSON.stringify(report)));
}

export function objectOf(value: JsonValue | undefined): JsonObject {
  return isJsonObject(value) ? value : {};
}

export function objectsOf(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.map((each: JsonValue) => objectOf(each)) : [];
}

export function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** An option with a text. */
export function optionText(
  options: Readonly<Record<string, string | boolean | undefined>>,
  name: string,
): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** Entries of a list that is separated by commas. */
export function listOf(text: string | undefined): string[] {
  const entries = (text ?? '').split(',').map((each) => each.trim());
  return entries.filter((each) => each !== '');
}

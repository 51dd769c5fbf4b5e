import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import type { ClientProblem, ControlCall, ControlClient } from '../../client/index.ts';
import { clientFor } from '../../client/index.ts';
import type { ExitCode, Invocation } from '../../command.ts';
import { exitCodes } from '../../command.ts';

/** Makes one call, and says its answer in words or as JSON. */
export async function answered(
  { io }: Pick<Invocation, 'io'>,
  call: ControlCall,
  words: (answer: JsonObject) => string,
): Promise<ExitCode> {
  const done = await clientFor(io).json(call);
  if (!done.ok) return refused(io, done.error);
  if (io.json) io.outJson(done.value);
  else io.out(words(object(done.value)));
  return exitCodes.ok;
}

export function refused(io: Invocation['io'], problem: ClientProblem): ExitCode {
  io.err(problem.message);
  return problem.exit;
}

/** A word on the command line that makes no sense. */
export function misused(io: Invocation['io'], message: string): ExitCode {
  io.err(message);
  return exitCodes.usage;
}

/** Every page of a list. */
export async function allOf(
  client: ControlClient,
  path: string,
): Promise<Result<readonly JsonObject[], ClientProblem>> {
  const items: JsonObject[] = [];
  let after = '';
  do {
    const listed = await client.json({ method: 'GET', path: `${path}?limit=1000${after}` });
    if (!listed.ok) return listed;
    const page = object(listed.value);
    items.push(...objects(page['items']));
    const next = page['next'];
    after = typeof next === 'string' ? `&after=${encodeURIComponent(next)}` : '';
  } while (after !== '');
  return ok(items);
}

export function object(value: JsonValue | undefined): JsonObject {
  return value !== undefined && isJsonObject(value) ? value : {};
}

export function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

export function texts(value: JsonValue | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

export function text(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** `a,b` as a list; undefined where the option is absent. */
export function listed(option: string | boolean | undefined): readonly string[] | undefined {
  if (typeof option !== 'string') return undefined;
  return option
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

/** Columns of `name  value`, without lines that have nothing to say. */
export function facts(rows: readonly (readonly [name: string, value: string])[]): string {
  const said = rows.filter(([, value]) => value !== '');
  const width = Math.max(0, ...said.map(([name]) => name.length));
  return said.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n');
}

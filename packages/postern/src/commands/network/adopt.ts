import { readFile } from 'node:fs/promises';
import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject, messageOf } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { misused, object, objects, refused, texts, text } from './answer.ts';

const path = '/api/v1/network/adopt';
/** In one request; the body stays far below what the server reads. */
const atOnce = 500;
/** What an inventory may say of a machine; what machines reported is not sent. */
const members = [
  'id',
  'name',
  'named',
  'user',
  'tags',
  'addresses',
  'approved',
  'ephemeral',
  'key_expires_at',
  'node_key',
  'machine_key',
  'created_at',
  'routes',
] as const;

export const run: Run = async ({ args, io }) => {
  const file = args['inventory'] ?? '';
  const nodes = await read(file);
  if (typeof nodes === 'string') return misused(io, `${file}: ${nodes}`);
  const adopted: string[] = [];
  const known: string[] = [];
  const failed: JsonObject[] = [];
  for (let at = 0; at < nodes.length; at += atOnce) {
    const body = { nodes: nodes.slice(at, at + atOnce) };
    const done = await clientFor(io).json({ method: 'POST', path, body });
    if (!done.ok) return refused(io, done.error);
    const said = object(done.value);
    adopted.push(...texts(said['adopted']));
    known.push(...texts(said['known']));
    failed.push(...objects(said['refused']));
  }
  if (io.json) io.outJson({ adopted, known, refused: failed });
  else {
    io.out(`Adopted: ${adopted.length} of ${nodes.length}; ${known.length} were here already.`);
    for (const each of failed) io.err(`${text(each['name'])}: ${text(each['reason'])}`);
  }
  return failed.length === 0 ? exitCodes.ok : exitCodes.failed;
};

/** What `node list --json` printed, or the page of the admin API; else what is wrong with it. */
async function read(file: string): Promise<readonly JsonObject[] | string> {
  let parsed: JsonValue;
  try {
    // Whatever JSON.parse gives is a JSON value.
    parsed = JSON.parse(await readFile(file, 'utf8')) as JsonValue;
  } catch (cause) {
    return messageOf(cause);
  }
  const list = isJsonObject(parsed) ? (parsed['nodes'] ?? parsed['items']) : parsed;
  const nodes = objects(list);
  if (!Array.isArray(list) || nodes.length !== list.length)
    return 'is no output of node list --json';
  return nodes.map((node) =>
    Object.fromEntries(
      members.flatMap((name) => {
        const value = node[name];
        return value === undefined ? [] : [[name, value] as const];
      }),
    ),
  );
}

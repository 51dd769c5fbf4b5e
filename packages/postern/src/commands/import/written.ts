import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import { parse, plainValue } from '@postern/core/base/hujson';
import { checkReport } from '@postern/core/policy/report';
import { parseConfigText } from '@postern/server/app';
import type { ExitCode, Invocation } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import type { Imported, Note } from '../../import/index.ts';
import type { Io } from '../../output/io.ts';
import { table } from '../../output/table.ts';
import { sha256Hex } from '../policy-source.ts';

/** Far above any configuration that a person keeps. */
const bytesMax = 8 * 1024 * 1024;

/** A file of the other product, bounded. */
export async function readText(file: string): Promise<Result<string, string>> {
  try {
    const text = await readFile(file, 'utf8');
    return text.length > bytesMax ? err(`${file} is larger than 8 MiB.`) : ok(text);
  } catch (cause) {
    return err(`${file} cannot be read: ${messageOf(cause)}`);
  }
}

/** YAML with its anchors, without tags that make anything but plain values. */
export async function readYaml(file: string): Promise<Result<JsonValue, string>> {
  const text = await readText(file);
  if (!text.ok) return text;
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text.value, { schema: 'core', uniqueKeys: true });
  const [problem] = document.errors;
  if (problem !== undefined) return err(`${file} is no YAML: ${problem.message}`);
  try {
    // The core schema makes nulls, booleans, numbers, texts, lists and maps; through JSON, keys are texts.
    return ok(
      JSON.parse(JSON.stringify(document.toJS({ maxAliasCount: 100 }) ?? null)) as JsonValue,
    );
  } catch (cause) {
    return err(`${file} cannot be read: ${messageOf(cause)}`);
  }
}

export async function readHujson(file: string): Promise<Result<JsonValue, string>> {
  const text = await readText(file);
  if (!text.ok) return text;
  const parsed = parse(text.value);
  if (!parsed.ok) return err(`${file}: ${parsed.error.message}`);
  const { value, problems } = plainValue(parsed.value);
  const [problem] = problems;
  return problem === undefined ? ok(value) : err(`${file}: ${problem.detail}`);
}

/** Writes what came out, says what became of everything, and checks the result as Postern itself would. */
export async function written(
  { io, options }: Invocation,
  product: string,
  imported: Imported,
): Promise<ExitCode> {
  const given = options['out'];
  const folder = path.resolve(typeof given === 'string' ? given : 'postern-import');
  const config = textOf(imported.config, `Made from a configuration of ${product}.`);
  const policy =
    typeof imported.policy === 'string'
      ? imported.policy
      : textOf(imported.policy, `Who may do what, as ${product} had it.`);
  const placed = await place(folder, [
    { name: 'postern.hujson', text: config, isSecret: false },
    { name: 'policy.hujson', text: policy, isSecret: false },
    ...imported.files,
  ]);
  if (!placed.ok) {
    io.err(placed.error);
    return exitCodes.failed;
  }
  const problems = problemsOf(config, policy);
  if (io.json) io.outJson({ folder, files: placed.value, notes: jsonOf(imported.notes), problems });
  else say(io, { folder, notes: imported.notes, files: placed.value });
  for (const problem of problems) io.err(problem);
  return problems.length === 0 ? exitCodes.ok : exitCodes.config;
}

export function failed(io: Io, message: string): ExitCode {
  io.err(message);
  return exitCodes.failed;
}

function textOf(value: JsonObject, about: string): string {
  return `// ${about} Read it before it counts.\n${JSON.stringify(value, null, 2)}\n`;
}

interface ToPlace {
  readonly name: string;
  readonly text: string;
  readonly isSecret: boolean;
}

/** Into a folder of its own that holds nothing yet, so that nobody's file is replaced. */
async function place(
  folder: string,
  files: readonly ToPlace[],
): Promise<Result<readonly string[], string>> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    if ((await readdir(folder)).length > 0)
      return err(`${folder} is not empty; name another folder with --out.`);
    for (const { name, text, isSecret } of files) {
      const file = path.join(folder, name);
      // oxlint-disable-next-line no-await-in-loop -- a few files, in order
      await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
      // oxlint-disable-next-line no-await-in-loop -- as above
      await writeFile(file, rebased(text, folder), { mode: isSecret ? 0o600 : 0o644, flag: 'wx' });
    }
    return ok(files.map(({ name }) => name));
  } catch (cause) {
    return err(`${folder} cannot be written: ${messageOf(cause)}`);
  }
}

/** Secrets are named by absolute paths: the configuration may be moved, they stay where they are. */
function rebased(text: string, folder: string): string {
  return text.replaceAll(
    '"file": "secrets/',
    `"file": ${JSON.stringify(`${folder}/secrets/`).slice(0, -1)}`,
  );
}

function problemsOf(config: string, policy: string): readonly string[] {
  const parsed = parseConfigText(config, 'postern.hujson');
  const configProblems = parsed.ok
    ? []
    : parsed.error.map(({ pointer, message }) => `postern.hujson ${pointer}: ${message}`);
  const inventory = { users: [], nodes: [] };
  const checked = checkReport({
    text: policy,
    inventory,
    engine: undefined,
    names: undefined,
    sha256Hex,
  });
  const policyProblems = checked.valid
    ? []
    : ['policy.hujson is not valid here: postern policy check policy.hujson says where.'];
  return [...configProblems, ...policyProblems];
}

function jsonOf(notes: readonly Note[]): JsonValue {
  return notes.map(({ kind, at, message }) => ({ kind, at, message }));
}

function say(
  io: Io,
  {
    folder,
    notes,
    files,
  }: {
    readonly folder: string;
    readonly notes: readonly Note[];
    readonly files: readonly string[];
  },
): void {
  const order: readonly Note['kind'][] = ['lost', 'changed', 'todo'];
  const rows = order.flatMap((kind) =>
    notes.filter((note) => note.kind === kind).map(({ at, message }) => [kind, at, message]),
  );
  if (rows.length > 0) io.out(`${table(['what', 'where', 'why'], rows)}\n`);
  const count = (kind: Note['kind']): number => notes.filter((note) => note.kind === kind).length;
  io.out(
    `${folder}: ${files.join(', ')}. ${count('lost')} lost, ${count('changed')} changed, ${count('todo')} to do.\nTry it: postern up --config ${path.join(folder, 'postern.hujson')}`,
  );
}

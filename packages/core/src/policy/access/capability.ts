/** The capabilities that Postern reads, as typed objects. */
import { err, ok, type Result } from '../../base/result.ts';
import type { JsonData } from '../file/source.ts';
import type { PortRange } from '../file/port.ts';
import { parsePorts } from '../file/port.ts';
import type { Glob } from './glob.ts';
import { ObjectReader } from './object.ts';

export const aiCapability = 'postern.dev/cap/ai';
export const adminCapability = 'postern.dev/cap/admin';
export const meshCapability = 'postern.dev/cap/mesh';
export const apertureCapability = 'tailscale.com/cap/aperture';

export const dialectNames = [
  'openai-chat',
  'openai-completions',
  'openai-responses',
  'openai-embeddings',
  'anthropic-messages',
  'bedrock-converse',
  'bedrock-invoke',
  'ask',
] as const;
export type GrantDialect = (typeof dialectNames)[number];

/** One complete alternative: all conditions of one object together. Objects are never mixed. */
export interface AiObject {
  readonly models: readonly Glob[];
  /** Undefined: every dialect. */
  readonly dialects: ReadonlySet<string> | undefined;
  readonly requireAttested: boolean;
  readonly maxOutputTokens: number | undefined;
  /** Names of limits and budgets of the configuration, charged when this object decides. */
  readonly limits: readonly string[];
  readonly budgets: readonly string[];
  readonly capture: 'none' | 'full';
}

/** What is wrong with an object, so that it grants nothing. */
export type ObjectProblems = readonly string[];

const aiFields = [
  'models',
  'dialects',
  'limits',
  'budgets',
  'maxOutputTokens',
  'requireAttested',
  'capture',
] as const;

export function readAiObject(value: JsonData): Result<AiObject, ObjectProblems> {
  const reader = new ObjectReader(value, aiFields);
  const models = reader.globs('models');
  if (models === undefined && reader.problems.length === 0)
    reader.problems.push('models is missing');
  const capture = reader.text('capture') ?? 'none';
  if (capture !== 'none' && capture !== 'full')
    reader.problems.push('capture must be "none" or "full"');
  const object: AiObject = {
    models: models ?? [],
    dialects: reader.oneOf('dialects', dialectNames),
    requireAttested: reader.flag('requireAttested') ?? false,
    maxOutputTokens: reader.positiveInteger('maxOutputTokens'),
    limits: reader.texts('limits') ?? [],
    budgets: reader.texts('budgets') ?? [],
    capture: capture === 'full' ? 'full' : 'none',
  };
  return finish(reader, object);
}

function finish<T>(reader: ObjectReader, object: T): Result<T, ObjectProblems> {
  return reader.problems.length === 0 ? ok(Object.freeze(object)) : err(reader.problems);
}

/** May use operations of the admin API and its tools. */
export interface AdminObject {
  readonly tools: readonly Glob[];
  readonly role: string | undefined;
}

export function readAdminObject(value: JsonData): Result<AdminObject, ObjectProblems> {
  const reader = new ObjectReader(value, ['tools', 'role']);
  const tools = reader.globs('tools');
  if (tools === undefined && reader.problems.length === 0) reader.problems.push('tools is missing');
  return finish(reader, { tools: tools ?? [], role: reader.text('role') });
}

/** May reach an app of the attested mesh. */
export interface MeshObject {
  /** Ids of the calling apps; `*` is any. */
  readonly apps: readonly Glob[];
  readonly ports: readonly PortRange[];
  /** Undefined: every method, every path. */
  readonly methods: ReadonlySet<string> | undefined;
  readonly paths: readonly Glob[] | undefined;
}

export function readMeshObject(value: JsonData): Result<MeshObject, ObjectProblems> {
  const reader = new ObjectReader(value, ['apps', 'ports', 'methods', 'paths']);
  for (const field of ['apps', 'ports']) {
    if (!reader.has(field)) reader.problems.push(`${field} is missing`);
  }
  const methods = reader.texts('methods');
  const object: MeshObject = {
    apps: reader.globs('apps') ?? [],
    ports: readPorts(reader),
    methods:
      methods === undefined ? undefined : new Set(methods.map((method) => method.toUpperCase())),
    paths: reader.globs('paths'),
  };
  return finish(reader, object);
}

/** Ports as numbers, `"8000-8100"` or `"*"`. */
function readPorts(reader: ObjectReader): readonly PortRange[] {
  return (reader.list('ports') ?? []).flatMap((item) => {
    const text = typeof item === 'number' ? String(item) : item;
    const ports = typeof text === 'string' ? parsePorts(text) : err('not a port');
    if (ports.ok) return ports.value;
    reader.problems.push(`ports: ${JSON.stringify(item)}: ${ports.error}`);
    return [];
  });
}

/**
 * One object of Tailscale's AI gateway. Its objects add up instead of standing alone: somewhere a role, elsewhere
 * a model.
 */
export interface ApertureObject {
  readonly role: 'user' | 'admin' | undefined;
  readonly models: Glob | undefined;
  /** Fields that are understood there and have no counterpart here. */
  readonly ignored: readonly string[];
}

const apertureFields = ['role', 'models', 'connectors', 'send_hooks', 'quotas'] as const;

export function readApertureObject(value: JsonData): Result<ApertureObject, ObjectProblems> {
  const reader = new ObjectReader(wrapModels(value), apertureFields);
  const role = reader.text('role');
  if (role !== undefined && role !== 'user' && role !== 'admin') {
    reader.problems.push('role must be "user" or "admin"');
  }
  const [models] = reader.globs('models') ?? [];
  return finish(reader, {
    role: role === 'user' || role === 'admin' ? role : undefined,
    models,
    ignored: ['connectors', 'send_hooks', 'quotas'].filter((name) => reader.has(name)),
  });
}

/** `models` is one glob there and a list of one here. */
function wrapModels(value: JsonData): JsonData {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const fields = new Map<string, JsonData>(Object.entries(value));
  const models = fields.get('models');
  if (typeof models === 'string') fields.set('models', [models]);
  return Object.fromEntries(fields);
}

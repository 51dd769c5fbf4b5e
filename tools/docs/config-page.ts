import { configJsonSchema, secretSourceSchema } from '@postern/core/contract';
import { z } from 'zod';
import { configExamples } from './config-examples.ts';
import { fenced, generated, table } from './markdown.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
}

type Row = readonly [field: string, type: string, fallback: string, meaning: string];

/** The page of the configuration file: one section for each top-level key, with an example that a test reads. */
export function configPage(): string {
  // The schema was made by zod from our own definition, so its shape is the one above.
  const schema = configJsonSchema() as Schema;
  const fields = Object.entries(schema.properties ?? {}).filter(([name]) => name !== '$schema');
  return [
    '# Configuration',
    '',
    generated,
    'One HuJSON file (JSON with comments and trailing commas): `--config`, else `POSTERN_CONFIG`, else',
    '`<state>/postern.hujson`, else `/etc/postern/postern.hujson`; never the current folder. Without a file Postern serves',
    'what it finds on the machine. Who may call what, `policy.hujson` beside it alone says ([policy](../howto/policy.md)).',
    '',
    'Unknown keys are errors, because a limit that is misspelt is a limit that does not hold. `postern config check`',
    'names line and column of what is wrong, `postern config check --explain` prints every value that counts and who says',
    'so, and [config.schema.json](config.schema.json) is for editors (`"$schema"` is an allowed key).',
    '',
    'A changed file is read again by itself, on SIGHUP and by `postern config reload`: all of it counts or nothing.',
    'Addresses, host names, proxies and connection limits are fixed when a listener opens; they need a restart.',
    '',
    'Secrets never stand in the file. Where one is needed, say where it is kept:',
    '',
    ...table(
      ['place', 'meaning'],
      placesOfSecrets().map(({ name, meaning }) => [`\`{"${name}": …}\``, meaning]),
    ),
    '',
    `Keys: ${fields.map(([name]) => `[\`${name}\`](#${name.toLowerCase()})`).join(' · ')}`,
    '',
    ...fields.flatMap(([name, field]) => section(name, field)),
  ].join('\n');
}

/** The first field of each way to keep a secret, which names the way. */
function placesOfSecrets(): readonly { readonly name: string; readonly meaning: string }[] {
  // The schema was made by zod from our own definition, so its shape is the one above.
  const schema = z.toJSONSchema(secretSourceSchema, { io: 'input' }) as Schema;
  return variantsOf(schema).map(({ properties }) => {
    const fields = Object.entries(properties ?? {});
    const [name = '', first] = fields[0] ?? [];
    const more = fields
      .slice(1)
      .map(([other, { description }]) => `\`${other}\`: ${description ?? ''}`);
    return { name, meaning: [first?.description ?? '', ...more].join(' ') };
  });
}

function section(name: string, field: Schema): readonly string[] {
  const example = configExamples[name];
  if (example === undefined) throw new Error(`config key ${name} needs an example`);
  const rows: Row[] = [];
  collectInside(field, name, rows);
  const alone: Row = [name, typeWords(field), fallbackWords(field, false), ''];
  return [
    `## ${name}`,
    '',
    ...(field.description === undefined ? [] : [field.description, '']),
    ...fenced('jsonc', example),
    '',
    ...table(
      ['field', 'type', 'default', 'meaning'],
      merged(rows.length === 0 ? [alone] : rows).map(([path, type, fallback, meaning]) => [
        `\`${path}\``,
        type,
        fallback,
        meaning,
      ]),
    ),
    '',
  ];
}

/** Variants of a union share most of their fields: each is shown once, with all its types. */
function merged(rows: readonly Row[]): readonly Row[] {
  const byPath = new Map<string, Row>();
  for (const each of rows) {
    const known = byPath.get(each[0]);
    byPath.set(each[0], known === undefined ? each : join(known, each));
  }
  return [...byPath.values()];
}

function join(one: Row, other: Row): Row {
  const cell = (a: string, b: string, glue: string): string =>
    a === b || b === '' ? a : a === '' ? b : [...new Set([...a.split(glue), b])].join(glue);
  return [
    one[0],
    cell(one[1], other[1], ' or '),
    cell(one[2], other[2], ' or '),
    cell(one[3], other[3], ' '),
  ];
}

function collectFields(schema: Schema, prefix: string, rows: Row[]): void {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const path = `${prefix}.${name}`;
    const isRequired = schema.required?.includes(name) ?? false;
    rows.push([path, typeWords(field), fallbackWords(field, isRequired), field.description ?? '']);
    if (!isSecret(field)) collectInside(field, path, rows);
  }
}

function collectInside(field: Schema, path: string, rows: Row[]): void {
  if (field.properties !== undefined) collectFields(field, path, rows);
  const values = field.additionalProperties;
  if (typeof values === 'object') {
    // A table of plain values has a row for them; a table of objects has the rows of their fields.
    const isPlain = values.type !== 'object' && variantsOf(values).length === 0;
    if (isPlain) rows.push([`${path}.<name>`, typeWords(values), '', values.description ?? '']);
    collectInside(values, `${path}.<name>`, rows);
  }
  if (field.items !== undefined) collectInside(field.items, `${path}[]`, rows);
  for (const variant of variantsOf(field)) collectInside(variant, path, rows);
}

function variantsOf(field: Schema): readonly Schema[] {
  return [...(field.anyOf ?? []), ...(field.oneOf ?? [])];
}

/** A place of a secret is explained once, at the top of the page. */
function isSecret(field: Schema): boolean {
  return variantsOf(field).some((variant) => variant.properties?.['credential'] !== undefined);
}

function fallbackWords(field: Schema, isRequired: boolean): string {
  if (field.default === undefined) return isRequired ? 'required' : '';
  const isEmpty = typeof field.default === 'object' && JSON.stringify(field.default).length <= 2;
  if (typeof field.default === 'object' && !isEmpty && !Array.isArray(field.default)) return '';
  return `\`${JSON.stringify(field.default)}\``;
}

function typeWords(field: Schema): string {
  if (isSecret(field)) return 'place of a secret';
  if (field.const !== undefined) return `\`${JSON.stringify(field.const)}\``;
  if (field.enum !== undefined)
    return field.enum.map((each) => `\`${JSON.stringify(each)}\``).join(' or ');
  const variants = variantsOf(field);
  if (variants.length > 0) return [...new Set(variants.map(typeWords))].join(' or ');
  if (field.type === 'array')
    return `list of ${field.items === undefined ? 'values' : typeWords(field.items)}`;
  if (field.type === 'integer') return `integer${rangeWords(field)}`;
  return typeof field.type === 'object' ? field.type.join(' or ') : (field.type ?? 'value');
}

function rangeWords({ minimum, maximum }: Schema): string {
  const words = (value: number): string => value.toLocaleString('en-US');
  if (minimum === undefined || maximum === undefined || maximum === Number.MAX_SAFE_INTEGER)
    return minimum === undefined ? '' : ` from ${words(minimum)}`;
  return `, ${words(minimum)} to ${words(maximum)}`;
}

import fc from 'fast-check';

/** A JSON Schema as OpenAPI 3.1 has it (2020-12). */
export type Schema = { readonly [name: string]: unknown };

/** Values that a schema allows, as far as its keywords are known here; a keyword that is not known is a defect of the test. */
export function valuesOf(schema: Schema, root: Schema, depth = 0): fc.Arbitrary<unknown> {
  const reference = schema['$ref'];
  if (typeof reference === 'string') return valuesOf(resolved(reference, root), root, depth);
  if (schema['const'] !== undefined) return fc.constant(schema['const']);
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]));
  const choices = schema['anyOf'] ?? schema['oneOf'];
  if (Array.isArray(choices))
    return fc.oneof(...choices.map((each) => valuesOf(schemaOf(each), root, depth)));
  const parts = schema['allOf'];
  if (Array.isArray(parts)) {
    const all = parts.map((each) => resolvedOf(schemaOf(each), root));
    return valuesOf(Object.assign({}, ...all, { allOf: undefined }) as Schema, root, depth);
  }
  const { type } = schema;
  if (Array.isArray(type))
    return fc.oneof(...type.map((each) => valuesOf({ ...schema, type: each }, root, depth)));
  switch (type) {
    case 'string':
      return textsOf(schema);
    case 'integer':
      return fc.integer({
        min: numberOf(schema['minimum'], numberOf(schema['exclusiveMinimum'], -5)),
        max: Math.min(numberOf(schema['maximum'], 1_000), 2 ** 31 - 1),
      });
    case 'number':
      return fc.double({ min: numberOf(schema['minimum'], 0.01), max: 1_000, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array':
      return fc.array(valuesOf(schemaOf(schema['items'] ?? {}), root, depth + 1), {
        minLength: numberOf(schema['minItems'], 0),
        maxLength: Math.max(numberOf(schema['minItems'], 0), depth > 2 ? 0 : 3),
      });
    case 'object':
      return objectsOf(schema, root, depth);
    case undefined:
      return fc.jsonValue({ maxDepth: 1 });
    default:
      throw new Error(`a type that no test knows: ${JSON.stringify(schema)}`);
  }
}

function objectsOf(schema: Schema, root: Schema, depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries(schemaOf(schema['properties'] ?? {}));
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : [];
  const wanted = depth > 3 ? properties.filter(([name]) => required.includes(name)) : properties;
  const fields = fc.record(
    Object.fromEntries(
      wanted.map(([name, each]) => [name, valuesOf(schemaOf(each), root, depth + 1)]),
    ),
    { requiredKeys: required },
  );
  const more = schema['additionalProperties'];
  if (typeof more !== 'object' || more === null) return fields;
  const rest = fc.dictionary(
    fc.stringMatching(/^[a-z]{1,8}$/),
    valuesOf(schemaOf(more), root, depth + 1),
    { maxKeys: 2 },
  );
  return fc.tuple(fields, rest).map(([own, others]) => ({ ...others, ...own }));
}

function textsOf(schema: Schema): fc.Arbitrary<string> {
  const { pattern, format } = schema;
  if (format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date(4_000_000_000_000), noInvalidDate: true })
      .map((date) => date.toISOString());
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern, 'u'));
  const minLength = numberOf(schema['minLength'], 0);
  const maxLength = Math.max(minLength, Math.min(numberOf(schema['maxLength'], 24), 24));
  return fc.string({ minLength, maxLength, unit: 'grapheme-ascii' });
}

function resolvedOf(schema: Schema, root: Schema): Schema {
  const reference = schema['$ref'];
  return typeof reference === 'string' ? resolved(reference, root) : schema;
}

function resolved(reference: string, root: Schema): Schema {
  let at: unknown = root;
  for (const part of reference.replace('#/', '').split('/')) at = schemaOf(at)[part];
  return schemaOf(at);
}

export function schemaOf(value: unknown): Schema {
  if (typeof value !== 'object' || value === null) throw new Error('a schema is an object');
  // Looked at by name, and each member is narrowed where it is used.
  return value as Schema;
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

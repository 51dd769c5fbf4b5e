import type { z } from 'zod';

type Schema = z.core.JSONSchema.JSONSchema;

/** What a JSON Schema has at one place of a value: the schemas that may hold there, given what the value says around it. */
export class SchemaPlace {
  readonly value: unknown;
  readonly #schemas: readonly Schema[];

  constructor(schemas: readonly Schema[], value: unknown) {
    this.value = value;
    this.#schemas = schemas;
  }

  /** One step further in: a key of an object, an index of a list. */
  at(part: PropertyKey): SchemaPlace {
    const schemas = this.#variants().flatMap((schema) => membersOf(schema, part));
    return new SchemaPlace(schemas, own(this.value, String(part)));
  }

  get description(): string | undefined {
    return this.#schemas.find(({ description }) => description !== undefined)?.description;
  }

  /** The keys that have a name here. */
  keys(): readonly string[] {
    const names = this.#variants().flatMap(({ properties = {}, propertyNames }) => [
      ...Object.keys(properties),
      ...(typeof propertyNames === 'object' ? (propertyNames.enum ?? []) : []),
    ]);
    return [...new Set(names.map(String))].toSorted();
  }

  #variants(): readonly Schema[] {
    return this.#schemas.flatMap((schema) => variantsOf(schema, this.value));
  }
}

function membersOf(schema: Schema, part: PropertyKey): readonly Schema[] {
  const { items, properties, additionalProperties: others } = schema;
  const found = typeof part === 'number' ? items : (own(properties, String(part)) ?? others);
  return [found].flat().filter((each) => typeof each === 'object');
}

/** The alternatives of a schema, without those whose tag says that the value is of another kind. */
function variantsOf(schema: Schema, value: unknown): readonly Schema[] {
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices === undefined) return [schema];
  return choices
    .filter((choice) => isOfKind(choice, value))
    .flatMap((choice) => variantsOf(choice, value));
}

function isOfKind({ properties = {} }: Schema, value: unknown): boolean {
  return Object.entries(properties).every(([key, schema]) => {
    if (typeof schema !== 'object' || schema.const === undefined) return true;
    const given = own(value, key);
    return given === undefined || given === schema.const;
  });
}

/** What a value itself has under a key: a configuration may well name something `constructor`. */
function own<T>(of: Readonly<Record<string, T>> | undefined, key: string): T | undefined;
function own(of: unknown, key: string): unknown;
function own(of: unknown, key: string): unknown {
  if (typeof of !== 'object' || of === null) return undefined;
  const found: unknown = Object.getOwnPropertyDescriptor(of, key)?.value;
  return found;
}

import { emptyObject, isJsonObject } from '../base/index.ts';
import type { JsonObject, JsonValue } from '../base/index.ts';
import { raise } from './attempt.ts';

/**
 * Reads the members of a JSON object by kind, inside an `attempt`. A member that is `null` counts as absent, as all
 * providers treat it. A wrong kind ends the attempt with `invalid_request` and the dotted path of the member.
 */
export class Fields {
  readonly value: JsonObject;
  readonly path: string;

  constructor(value: JsonObject, path = '') {
    this.value = value;
    this.path = path;
  }

  /** The object at a path, or the refusal that something else stands there. */
  static of(value: JsonValue | undefined, path: string): Fields {
    return isJsonObject(value) ? new Fields(value, path) : wrongKind(path, 'an object');
  }

  at(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  /** The value of a member, undefined where it is absent or null. */
  raw(name: string): JsonValue | undefined {
    const value = Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return value === null ? undefined : value;
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.missing(name, 'a string');
  }

  optionalText(name: string): string | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'string') return value;
    return wrongKind(this.at(name), 'a string');
  }

  optionalNumber(name: string): number | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'number') return value;
    return wrongKind(this.at(name), 'a number');
  }

  /** A whole number of at least `min`. */
  optionalInteger(name: string, min = 0): number | undefined {
    const value = this.optionalNumber(name);
    if (value === undefined || (Number.isSafeInteger(value) && value >= min)) return value;
    return wrongKind(this.at(name), `a whole number of at least ${min}`);
  }

  optionalFlag(name: string): boolean | undefined {
    const value = this.raw(name);
    if (value === undefined || typeof value === 'boolean') return value;
    return wrongKind(this.at(name), 'true or false');
  }

  object(name: string): Fields {
    return this.optionalObject(name) ?? this.missing(name, 'an object');
  }

  optionalObject(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : Fields.of(value, this.at(name));
  }

  list(name: string): readonly JsonValue[] {
    return this.optionalList(name) ?? this.missing(name, 'an array');
  }

  optionalList(name: string): readonly JsonValue[] | undefined {
    const value = this.raw(name);
    if (value === undefined || isList(value)) return value;
    return wrongKind(this.at(name), 'an array');
  }

  /** The members of a list, each an object with its path. */
  objects(name: string): readonly Fields[] {
    return this.list(name).map((item, index) => Fields.of(item, `${this.at(name)}.${index}`));
  }

  optionalObjects(name: string): readonly Fields[] | undefined {
    return this.has(name) ? this.objects(name) : undefined;
  }

  optionalTexts(name: string): readonly string[] | undefined {
    return this.optionalList(name)?.map((item, index) =>
      typeof item === 'string' ? item : wrongKind(`${this.at(name)}.${index}`, 'a string'),
    );
  }

  /** The members that are not null and that the reader does not know. */
  others(known: ReadonlySet<string>): JsonObject {
    const rest = emptyObject();
    for (const [name, value] of Object.entries(this.value)) {
      if (value !== null && !known.has(name)) rest[name] = value;
    }
    return rest;
  }

  missing(name: string, kind: string): never {
    return wrongKind(this.at(name), kind, 'is missing; it has to be');
  }

  wrong(name: string, kind: string): never {
    return wrongKind(this.at(name), kind);
  }
}

export function isList(value: JsonValue | undefined): value is readonly JsonValue[] {
  return Array.isArray(value);
}

export function wrongKind(path: string, kind: string, verb = 'has to be'): never {
  return raise('invalid_request', `${path === '' ? 'The body' : path} ${verb} ${kind}.`, {
    param: path,
  });
}

/** An object of the members that are defined, without a prototype: what encoders build. */
export function defined(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  const object = emptyObject();
  for (const [name, value] of Object.entries(members)) {
    if (value !== undefined) object[name] = value;
  }
  return object;
}

/** A member that is there only where its value is. */
export function optional<K extends string, V>(
  name: K,
  value: V | undefined,
): { readonly [name in K]?: V } {
  // A computed key widens to an index signature; the type says which key it is.
  return value === undefined ? {} : ({ [name]: value } as { readonly [name in K]?: V });
}

import path from 'node:path';
import { evaluate, take } from './evaluate.ts';
import { parseTemplate } from './expression.ts';
import type { Fields, Value } from './value.ts';
import { asList, isFields, isKnown, Reference, text, Unknown } from './value.ts';

/** One resource or data source, with what the text tells of its arguments. */
export interface Resource {
  /** Full address: `module.router.aws_instance.this`, with `[0]` or `["key"]` where it repeats. */
  readonly address: string;
  readonly type: string;
  readonly isData: boolean;
  readonly fields: Fields;
}

export interface Graph {
  readonly resources: readonly Resource[];
  readonly outputs: Fields;
  find(address: string): Resource | undefined;
  /** The value of an expression as the root sees it. */
  evaluate(raw: unknown): Value;
  /** Variables whose own validation refuses what they were given, by address. */
  readonly refused: readonly string[];
}

/** The parsed JSON of one folder: every block type has lists of bodies under its labels. */
export type Folder = Readonly<Record<string, unknown>>;
export type ReadFolder = (folder: string) => Folder;

/** Builds what a plan of this folder would hold: modules, counts and conditions resolved, references by full address. */
export function buildGraph(root: string, given: Fields, read: ReadFolder): Graph {
  const resources: Resource[] = [];
  const top = new Module(root, '', given, read);
  top.collect(resources);
  const byAddress = new Map(resources.map((each) => [each.address, each]));
  return {
    resources,
    outputs: top.outputs(),
    find: (address) => byAddress.get(address),
    evaluate: (raw) => top.evaluate(raw),
    refused: top.refused(),
  };
}

interface Block {
  readonly type: string;
  readonly name: string;
  readonly body: Body;
  readonly isData: boolean;
}

type Body = Readonly<Record<string, unknown>>;

const repeating = new Set(['count', 'for_each', 'depends_on', 'lifecycle', 'provider']);

class Module {
  readonly #folder: string;
  readonly #prefix: string;
  readonly #given: Fields;
  readonly #read: ReadFolder;
  readonly #content: Folder;
  readonly #blocks: readonly Block[];
  readonly #children = new Map<string, Module | undefined>();
  readonly #locals = new Map<string, Value>();

  constructor(folder: string, prefix: string, given: Fields, read: ReadFolder) {
    this.#folder = folder;
    this.#prefix = prefix;
    this.#given = given;
    this.#read = read;
    this.#content = read(folder);
    this.#blocks = [...blocks(this.#content, 'resource'), ...blocks(this.#content, 'data')];
  }

  collect(into: Resource[]): void {
    for (const block of this.#blocks) {
      for (const [suffix, names] of this.#instances(block.body)) {
        into.push({
          address: `${this.#addressOf(block)}${suffix}`,
          type: block.type,
          isData: block.isData,
          fields: this.#fields(block.body, names),
        });
      }
    }
    for (const name of Object.keys(bodies(this.#content, 'module')))
      this.#child(name)?.collect(into);
  }

  outputs(): Fields {
    return Object.fromEntries(
      Object.keys(bodies(this.#content, 'output')).map((name) => [name, this.output(name)]),
    );
  }

  evaluate(raw: unknown): Value {
    return this.#value(raw, {});
  }

  /** What a validation cannot decide from the text alone is not refused. */
  refused(): readonly string[] {
    const own = Object.entries(bodies(this.#content, 'variable')).flatMap(([name, body]) =>
      asBodies(body['validation']).some(({ condition }) => this.#value(condition, {}) === false)
        ? [`${this.#prefix}var.${name}`]
        : [],
    );
    // What was refused here goes no further down.
    if (own.length > 0) return own;
    const children = Object.keys(bodies(this.#content, 'module'));
    return children.flatMap((name) => this.#child(name)?.refused() ?? []);
  }

  output(name: string): Value {
    const body = bodies(this.#content, 'output')[name];
    return body === undefined ? null : this.#value(body['value'], {});
  }

  #addressOf(block: Block): string {
    return `${this.#prefix}${block.isData ? 'data.' : ''}${block.type}.${block.name}`;
  }

  /** The instances of a block: its suffix in addresses, and the names that it sees. */
  #instances(body: Body): readonly (readonly [string, Fields])[] {
    const count = body['count'] === undefined ? undefined : this.#value(body['count'], {});
    if (typeof count === 'number')
      return Array.from({ length: count }, (_, index) => [`[${index}]`, { count: { index } }]);
    if (count !== undefined) return [['[0]', { count: { index: 0 } }]];
    const over = body['for_each'] === undefined ? undefined : this.#value(body['for_each'], {});
    if (over === undefined) return [['', {}]];
    if (!isKnown(over)) return [['["?"]', { each: { key: over, value: over } }]];
    const entries: [string, Value][] = isFields(over)
      ? Object.entries(over)
      : asList(over).map((each) => [text(each), each]);
    return entries.map(([key, value]) => [`["${key}"]`, { each: { key, value } }]);
  }

  #fields(body: Body, names: Fields): Fields {
    const fields: Record<string, Value> = {};
    for (const [key, raw] of Object.entries(body)) {
      if (repeating.has(key)) continue;
      if (key !== 'dynamic') fields[key] = this.#value(raw, names);
    }
    for (const [key, blocks] of Object.entries(this.#dynamic(body['dynamic'] ?? {}, names)))
      fields[key] = [...asList(fields[key]), ...asList(blocks)];
    return fields;
  }

  #dynamic(raw: unknown, names: Fields): Fields {
    const made: Record<string, Value> = {};
    for (const [name, list] of Object.entries(raw as Record<string, readonly Body[]>)) {
      made[name] = list.flatMap((body) => {
        const over = this.#value(body['for_each'], names);
        const label = typeof body['iterator'] === 'string' ? body['iterator'] : name;
        const content = asBodies(body['content'])[0] ?? {};
        return asList(over).map((value) =>
          this.#fields(content, { ...names, [label]: { key: value, value } }),
        );
      });
    }
    return made;
  }

  #value(raw: unknown, names: Fields): Value {
    if (typeof raw === 'string')
      return evaluate(parseTemplate(raw), { lookup: (steps) => this.#lookup(steps), names });
    if (Array.isArray(raw)) return raw.map((each) => this.#value(each, names));
    if (typeof raw === 'object' && raw !== null) return this.#fields(raw as Body, names);
    return raw as string | number | boolean | null;
  }

  #lookup(steps: readonly (string | number)[]): Value {
    const [first, second, ...rest] = steps;
    const name = String(second);
    switch (first ?? '') {
      case 'var':
        return rest.reduce<Value>(take, this.#variable(name));
      case 'local':
        return rest.reduce<Value>(take, this.#local(name));
      case 'output':
        // Only test files ask for outputs by this name.
        return rest.reduce<Value>(take, this.output(name));
      case 'path':
        return this.#folder;
      case 'module': {
        const [output, ...more] = rest;
        const child = this.#child(name);
        return more.reduce<Value>(take, child?.output(String(output)) ?? null);
      }
      case 'data':
        return this.#resource(true, [name, ...rest]);
      default:
        return this.#resource(false, steps);
    }
  }

  #variable(name: string): Value {
    const given = this.#given[name];
    if (given !== undefined) return given;
    const body = bodies(this.#content, 'variable')[name];
    if (body === undefined) return new Unknown(`there is no variable ${name}`);
    return 'default' in body ? this.#value(body['default'], {}) : new Unknown(`var.${name}`);
  }

  #local(name: string): Value {
    const known = this.#locals.get(name);
    if (known !== undefined) return known;
    const raw = asBodies(this.#content['locals']).find((body) => name in body)?.[name];
    const value = this.#value(raw, {});
    this.#locals.set(name, value);
    return value;
  }

  #child(name: string): Module | undefined {
    if (this.#children.has(name)) return this.#children.get(name);
    const body = bodies(this.#content, 'module')[name];
    if (body === undefined) return undefined;
    const { source, ...args } = body;
    const given = new LazyFields(args, (raw) => this.#value(raw, {}));
    const child = new Module(
      path.join(this.#folder, String(source)),
      `${this.#prefix}module.${name}.`,
      given.fields,
      this.#read,
    );
    this.#children.set(name, child);
    return child;
  }

  /** An attribute of a resource: what the text says of it, else its address. */
  #resource(isData: boolean, steps: readonly (string | number)[]): Value {
    const [type, name, ...rest] = steps;
    const block = this.#blocks.find(
      (each) => each.isData === isData && each.type === type && each.name === name,
    );
    const base = `${this.#prefix}${isData ? 'data.' : ''}${String(type)}.${String(name)}`;
    if (block === undefined) return new Unknown(`there is no ${base}`);
    const repeats = 'count' in block.body || 'for_each' in block.body;
    if (!repeats) return this.#attribute(base, block, {}, rest);
    const instances = this.#instances(block.body);
    const [key, ...more] = rest;
    if (key === undefined) return instances.map(([suffix]) => new Reference(`${base}${suffix}`));
    const suffix = typeof key === 'number' ? `[${key}]` : `["${key}"]`;
    const names = instances.find(([each]) => each === suffix)?.[1];
    return names === undefined ? null : this.#attribute(`${base}${suffix}`, block, names, more);
  }

  #attribute(
    address: string,
    block: Block,
    names: Fields,
    steps: readonly (string | number)[],
  ): Value {
    const [attribute, ...rest] = steps;
    if (attribute === undefined) return new Reference(address);
    const raw = block.body[attribute];
    // A data source's arguments ask; its attributes answer, and only some have the same name.
    const isTold = raw !== undefined && !block.isData && typeof raw !== 'object';
    if (!isTold) return steps.reduce<Value>(take, new Reference(address));
    return rest.reduce<Value>(take, this.#value(raw, names));
  }
}

/** Arguments of a module, evaluated when they are asked for: two modules may use each other's outputs. */
class LazyFields {
  readonly fields: Fields;

  constructor(raw: Body, value: (raw: unknown) => Value) {
    const known = new Map<string, Value>();
    const target: Record<string, Value> = {};
    for (const key of Object.keys(raw)) {
      Object.defineProperty(target, key, {
        enumerable: true,
        get: () => {
          const found = known.get(key) ?? value(raw[key]);
          known.set(key, found);
          return found;
        },
      });
    }
    this.fields = target;
  }
}

function blocks(content: Folder, kind: 'resource' | 'data'): Block[] {
  const byType = (content[kind] ?? {}) as Record<string, Record<string, unknown>>;
  return Object.entries(byType).flatMap(([type, named]) =>
    Object.entries(named).flatMap(([name, list]) =>
      asBodies(list).map((body) => ({ type, name, body, isData: kind === 'data' })),
    ),
  );
}

function bodies(content: Folder, kind: 'module' | 'output' | 'variable'): Record<string, Body> {
  const named = (content[kind] ?? {}) as Record<string, unknown>;
  return Object.fromEntries(
    Object.entries(named).map(([name, list]) => [name, asBodies(list)[0] ?? {}]),
  );
}

function asBodies(raw: unknown): readonly Body[] {
  return Array.isArray(raw) ? (raw as readonly Body[]) : raw === undefined ? [] : [raw as Body];
}

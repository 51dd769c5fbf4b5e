import { Buffer } from 'node:buffer';

/** A value of a plan that is known only once AWS has made it: the attribute of a resource, by its full address. */
export class Reference {
  readonly address: string;

  constructor(address: string) {
    this.address = address;
  }

  toString(): string {
    return `\${${this.address}}`;
  }
}

/** What cannot be told from the text: a variable without a value, a function that is not evaluated here. */
export class Unknown {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }

  toString(): string {
    return `\${unknown: ${this.why}}`;
  }
}

/** A file or template that a machine gets, with what is filled in: rules read its text. */
export class Text {
  readonly file: string;
  readonly variables: Readonly<Record<string, Value>>;

  constructor(file: string, variables: Readonly<Record<string, Value>>) {
    this.file = file;
    this.variables = variables;
  }
}

export type Value =
  | string
  | number
  | boolean
  | null
  | Reference
  | Unknown
  | Text
  | readonly Value[]
  | { readonly [key: string]: Value };

export type Fields = { readonly [key: string]: Value };

export function isKnown(value: Value): boolean {
  return !(value instanceof Reference || value instanceof Unknown || value instanceof Text);
}

export function isFields(value: Value | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && isKnown(value);
}

export function asList(value: Value | undefined): readonly Value[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as readonly Value[]) : [value];
}

type Call = (args: readonly Value[]) => Value;

/** The text of a value, for rules that compare text; of a list or a block, its JSON. */
export function text(value: Value | undefined): string {
  if (value === undefined || value === null) return '';
  if (value instanceof Reference || value instanceof Unknown) return value.toString();
  if (value instanceof Text) return value.file;
  return typeof value === 'object' ? JSON.stringify(plain(value)) : String(value);
}

const list = (value: Value | undefined): readonly Value[] => asList(value);

/** The functions that modules of ours call with values that the text tells. Any other one gives an unknown. */
export const functions: Readonly<Record<string, Call>> = {
  length: ([of]) =>
    typeof of === 'string' ? of.length : isFields(of) ? Object.keys(of).length : list(of).length,
  concat: (args) => args.flatMap(list),
  merge: (args) => Object.assign({}, ...args.filter(isFields)) as Fields,
  toset: ([of]) => list(of),
  tolist: ([of]) => list(of),
  one: ([of]) => list(of)[0] ?? null,
  coalesce: (args) => args.find((arg) => arg !== null && arg !== '') ?? null,
  join: ([by, of]) => list(of).map(text).join(text(by)),
  split: ([by, of]) => text(of).split(text(by)),
  lower: ([of]) => text(of).toLowerCase(),
  endswith: ([of, end]) => text(of).endsWith(text(end)),
  startswith: ([of, start]) => text(of).startsWith(text(start)),
  strcontains: ([of, part]) => text(of).includes(text(part)),
  contains: ([of, item]) => list(of).includes(item ?? null),
  keys: ([of]) => (isFields(of) ? Object.keys(of) : []),
  values: ([of]) => (isFields(of) ? Object.values(of) : []),
  tonumber: ([of]) => Number(text(of)),
  tostring: ([of]) => text(of),
  nonsensitive: ([of]) => of ?? null,
  sensitive: ([of]) => of ?? null,
  jsonencode: ([of]) => JSON.stringify(plain(of ?? null)),
  base64encode: ([of]) => Buffer.from(text(of)).toString('base64'),
  alltrue: ([of]) => list(of).every((each) => each === true),
  anytrue: ([of]) => list(of).some((each) => each === true),
  replace: ([of, part, by]) => text(of).replaceAll(text(part), text(by)),
  regex: ([pattern, of]) => {
    const found = new RegExp(text(pattern), 'u').exec(text(of));
    // As Terraform does, so that `can` may catch it.
    if (found === null) throw new Error(`${text(of)} does not match ${text(pattern)}`);
    const [whole, ...groups] = found;
    return found.groups === undefined
      ? groups.length === 0
        ? whole
        : groups
      : { ...found.groups };
  },
  jsondecode: ([of]) => JSON.parse(text(of)) as Value,
  trimspace: ([of]) => text(of).trim(),
  file: ([name]) => new Text(text(name), {}),
  templatefile: ([name, variables]) => new Text(text(name), isFields(variables) ? variables : {}),
  timecmp: () => 1,
  plantimestamp: () => '2000-01-01T00:00:00Z',
  timeadd: ([of]) => of ?? null,
};

function plain(value: Value): unknown {
  if (value instanceof Reference || value instanceof Unknown) return value.toString();
  if (value instanceof Text) return value.file;
  if (Array.isArray(value)) return (value as readonly Value[]).map(plain);
  if (isFields(value))
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each)]));
  return value;
}

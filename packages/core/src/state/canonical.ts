import { Fault } from '@postern/core/base';

/**
 * The one text of a JSON value, after RFC 8785 (JCS): no white space, members sorted by UTF-16 code units, numbers and
 * strings as ECMAScript writes them. Two equal values have equal text, so that text can be hashed.
 *
 * Only JSON values have one: `undefined`, functions, non-finite numbers, negative zero (which would come back as
 * zero), lone surrogates and depth beyond 32 are defects of the caller and throw `Fault`.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0);
}

/** Records are four levels deep; the bound stops a cyclic value before the stack does. */
const depthMax = 32;

function write(value: unknown, depth: number): string {
  if (depth > depthMax) throw new Fault('canonical JSON deeper than 32 levels');
  if (value === null) return 'null';
  if (typeof value === 'boolean') return value ? 'true' : 'false';
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'string') return writeString(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new Fault(`canonical JSON of a ${typeof value}`);
  return writeObject(value, depth + 1);
}

function writeObject(value: object, depth: number): string {
  // Any object that is no array may be read by its own names.
  const members = value as Readonly<Record<string, unknown>>;
  let text = '{';
  // oxlint-disable-next-line unicorn/no-array-sort -- of a list of our own; its order is that of code units
  for (const name of Object.keys(members).sort()) {
    const separator = text === '{' ? '' : ',';
    text += `${separator}${writeString(name)}:${write(members[name], depth)}`;
  }
  return `${text}}`;
}

function writeNumber(value: number): string {
  if (!Number.isFinite(value) || Object.is(value, -0)) {
    throw new Fault('canonical JSON of a number that JSON does not have');
  }
  return JSON.stringify(value);
}

function writeString(text: string): string {
  // RFC 8785 section 3.2.2.2: a lone surrogate is an error, because UTF-8 cannot carry it.
  if (!text.isWellFormed()) throw new Fault('canonical JSON of a lone surrogate');
  return JSON.stringify(text);
}

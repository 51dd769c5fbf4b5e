/** JSON pointers (RFC 6901). */
import { err, ok, type Result } from '../result.ts';
import { literalSays } from './literal.ts';
import { type HujsonComposite, type HujsonValue, lengthOf } from './tree.ts';

/** Largest array index of a pointer: that of an unsigned 64-bit number, as in the original. */
const indexMax = (1n << 64n) - 1n;

/** Where a pointer leads. */
export interface Place {
  /** The object or array that holds it; undefined for the document itself. */
  readonly parent: HujsonComposite | undefined;
  readonly name: string;
  /** Index of the member or element; the length of the parent where there is none. */
  readonly index: number;
  readonly value: HujsonValue;
}

export interface NotFound {
  readonly message: string;
  /** Set where everything but the last step was found: the place where a value could be added. */
  readonly vacant: Omit<Place, 'value'> | undefined;
}

const notFound = 'value not found';

/** The value at a pointer, or undefined. Names match exactly; of equal names the first counts. */
export function find(root: HujsonValue, pointer: string): HujsonValue | undefined {
  const place = resolve(root, pointer);
  return place.ok ? place.value.value : undefined;
}

/** `~` and `/` in a name, escaped for a pointer. */
export function pointerToken(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}

export function resolve(root: HujsonValue, pointer: string): Result<Place, NotFound> {
  let place: Place = { parent: undefined, name: '', index: 0, value: root };
  for (let offset = 0; offset < pointer.length; ) {
    const step = nextStep(place.value, pointer, offset);
    if (!step.ok) return err({ message: step.error, vacant: undefined });
    const { parent, name, index, end } = step.value;
    const value = entryAt(parent, index);
    if (value === undefined) {
      const vacant = end === pointer.length ? { parent, name, index } : undefined;
      return err({ message: notFound, vacant });
    }
    place = { parent, name, index, value };
    offset = end;
  }
  return ok(place);
}

interface Step {
  readonly parent: HujsonComposite;
  readonly name: string;
  readonly index: number;
  readonly end: number;
}

function nextStep(value: HujsonValue, pointer: string, offset: number): Result<Step, string> {
  const parent = value.value;
  if (parent.kind === 'literal') {
    return err(`invalid pointer: cannot index into literal at ${pointer.slice(0, offset)}`);
  }
  if (pointer.charAt(offset) !== '/') return err('invalid pointer: lacks a forward slash prefix');
  const slash = pointer.indexOf('/', offset + 1);
  const end = slash < 0 ? pointer.length : slash;
  const name = pointer
    .slice(offset + 1, end)
    .replaceAll('~1', '/')
    .replaceAll('~0', '~');
  const index = indexOf(parent, name);
  return index === undefined
    ? err(`invalid array index: ${name}`)
    : ok({ parent, name, index, end });
}

/** Undefined for a text that is no array index. Like the original, `01` is 1 and only `00` is refused. */
function indexOf(parent: HujsonComposite, name: string): number | undefined {
  if (parent.kind === 'object') {
    const found = parent.members.findIndex(
      (member) => member.name.value.kind === 'literal' && literalSays(member.name.value.text, name),
    );
    return found < 0 ? parent.members.length : found;
  }
  const length = lengthOf(parent);
  if (name === '-') return length;
  if (!/^[0-9]{1,40}$/.test(name)) return undefined;
  const index = BigInt(name);
  if (index > indexMax || (index === 0n && name !== '0')) return undefined;
  return index < BigInt(length) ? Number(index) : length;
}

function entryAt(parent: HujsonComposite, index: number): HujsonValue | undefined {
  return parent.kind === 'object' ? parent.members[index]?.value : parent.elements[index];
}

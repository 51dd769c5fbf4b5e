import { err, ok, type Result } from '../result.ts';

export type DerErrorCode =
  | 'truncated'
  | 'trailing-bytes'
  | 'too-large'
  | 'too-deep'
  | 'too-many-elements'
  | 'bad-tag'
  | 'bad-length'
  | 'unexpected-tag'
  | 'missing-element'
  | 'bad-value';

/** Why bytes are not the DER that was asked for, and where: the offset counts from the input's start. */
export interface DerError {
  readonly code: DerErrorCode;
  readonly offset: number;
  readonly detail: string;
}

export type DerClass = 'universal' | 'application' | 'context' | 'private';

export interface DerHeader {
  readonly tagClass: DerClass;
  readonly constructed: boolean;
  readonly tag: number;
  readonly contentStart: number;
  readonly contentEnd: number;
}

const classes: readonly DerClass[] = ['universal', 'application', 'context', 'private'];

/** Universal types whose contents are elements: EXTERNAL, EMBEDDED PDV, SEQUENCE, SET, CHARACTER STRING. */
const constructedTypes: ReadonlySet<number> = new Set([8, 11, 16, 17, 29]);

/** Four base-128 digits. Real formats stop at 30; more would only be room for ambiguity. */
const tagDigitsMax = 4;

/** Length octets after the first. Four cover 4 GiB, far past any input limit. */
const lengthOctetsMax = 4;

function fail(code: DerErrorCode, offset: number, detail: string): Result<never, DerError> {
  return err({ code, offset, detail });
}

/** Reads one identifier and length at `start`; the contents must end at or before `end`. */
export function readHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
): Result<DerHeader, DerError> {
  const first = start < end ? bytes[start] : undefined;
  if (first === undefined) return fail('truncated', start, 'no tag');
  const tagClass = classes[first >> 6] ?? 'private';
  const constructed = (first & 0x20) !== 0;
  let at = start + 1;
  let tag = first & 0x1f;
  if (tag === 0x1f) {
    const long = readLongTag(bytes, at, end);
    if (!long.ok) return long;
    tag = long.value.tag;
    at = long.value.at;
  }
  if (tagClass === 'universal') {
    if (tag === 0) return fail('bad-tag', start, 'end-of-contents has no place in DER');
    if (constructed !== constructedTypes.has(tag)) {
      return fail('bad-tag', start, `universal type ${tag} in the wrong form`);
    }
  }
  const length = readLength(bytes, at, end);
  if (!length.ok) return length;
  const contentStart = length.value.at;
  const contentEnd = contentStart + length.value.length;
  if (contentEnd > end) return fail('truncated', at, 'the declared length passes the end');
  return ok({ tagClass, constructed, tag, contentStart, contentEnd });
}

function readLongTag(
  bytes: Uint8Array,
  start: number,
  end: number,
): Result<{ tag: number; at: number }, DerError> {
  let tag = 0;
  for (let digits = 0; digits < tagDigitsMax; digits += 1) {
    const at = start + digits;
    const octet = at < end ? bytes[at] : undefined;
    if (octet === undefined) return fail('truncated', at, 'tag number');
    if (digits === 0 && octet === 0x80) return fail('bad-tag', at, 'tag number with leading zeros');
    tag = tag * 128 + (octet & 0x7f);
    if ((octet & 0x80) === 0) {
      if (tag < 0x1f) return fail('bad-tag', start, 'short tag number in the long form');
      return ok({ tag, at: at + 1 });
    }
  }
  return fail('bad-tag', start, 'tag number too large');
}

function readLength(
  bytes: Uint8Array,
  start: number,
  end: number,
): Result<{ length: number; at: number }, DerError> {
  const first = start < end ? bytes[start] : undefined;
  if (first === undefined) return fail('truncated', start, 'no length');
  if (first < 0x80) return ok({ length: first, at: start + 1 });
  const octets = first & 0x7f;
  if (octets === 0) return fail('bad-length', start, 'indefinite length');
  if (octets > lengthOctetsMax) return fail('bad-length', start, 'length of too many octets');
  let length = 0;
  for (let i = 1; i <= octets; i += 1) {
    const octet = start + i < end ? bytes[start + i] : undefined;
    if (octet === undefined) return fail('truncated', start + i, 'length');
    length = length * 256 + octet;
  }
  const smallest = octets === 1 ? 0x80 : 256 ** (octets - 1);
  if (length < smallest) return fail('bad-length', start, 'length is not minimal');
  return ok({ length, at: start + 1 + octets });
}

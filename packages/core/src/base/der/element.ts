import { err, ok, type Result } from '../result.ts';
import { type DerClass, type DerError, type DerErrorCode, readHeader } from './header.ts';
import { type DerLimits, derLimits } from './limits.ts';
import {
  type BitString,
  bitStringValue,
  booleanValue,
  type DerText,
  generalizedTimeValue,
  integerValue,
  namedBitsValue,
  oidValue,
  setBits,
  textValue,
  utcTimeValue,
} from './value.ts';

export type { DerError, DerErrorCode } from './header.ts';

/** Universal tag numbers by name. */
export const DerTag = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  oid: 6,
  enumerated: 10,
  utf8String: 12,
  sequence: 16,
  set: 17,
  printableString: 19,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
} as const;

/**
 * Carries a refusal from an accessor to `decodeDer`, which turns it into a value. Accessors that return
 * results would make every decoder of a nested structure mostly plumbing; this never leaves the folder.
 */
class DerRefusal extends Error {
  readonly error: DerError;

  constructor(error: DerError) {
    super(error.detail);
    this.error = error;
  }
}

interface Reading {
  readonly bytes: Uint8Array;
  readonly limits: DerLimits;
  elements: number;
}

interface ElementParts {
  readonly tagClass: DerClass;
  readonly constructed: boolean;
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly contentEnd: number;
  readonly depth: number;
}

/**
 * One element, with typed access to its value. Accessors refuse (unwinding to `decodeDer`) where the tag
 * or the encoding is another; they are for use inside a decoder only.
 */
export class DerElement {
  readonly #reading: Reading;
  readonly #parts: ElementParts;

  constructor(reading: Reading, parts: ElementParts) {
    this.#reading = reading;
    this.#parts = parts;
  }

  get tagClass(): DerClass {
    return this.#parts.tagClass;
  }

  get tag(): number {
    return this.#parts.tag;
  }

  get constructed(): boolean {
    return this.#parts.constructed;
  }

  /** Where the tag stands in the input. */
  get offset(): number {
    return this.#parts.start;
  }

  /** Tag, length and contents: a view of the input. */
  get bytes(): Uint8Array {
    return this.#reading.bytes.subarray(this.#parts.start, this.#parts.contentEnd);
  }

  /** The contents octets: a view of the input. */
  get content(): Uint8Array {
    return this.#reading.bytes.subarray(this.#parts.contentStart, this.#parts.contentEnd);
  }

  /** Ends the decoding with an error at this element. */
  refuse(detail: string, code: DerErrorCode = 'bad-value'): never {
    throw new DerRefusal({ code, offset: this.#parts.start, detail });
  }

  isUniversal(tag: number): boolean {
    return this.#parts.tagClass === 'universal' && this.#parts.tag === tag;
  }

  isContext(tag: number): boolean {
    return this.#parts.tagClass === 'context' && this.#parts.tag === tag;
  }

  /** Reads the elements of a SEQUENCE; whatever `read` leaves over is refused. */
  sequence<T>(read: (cursor: DerCursor) => T): T {
    this.#expect(DerTag.sequence);
    return this.#inside(read);
  }

  /** Reads the elements of a SET OF, whose encodings must ascend (X.690 11.6). */
  setOf<T>(each: (element: DerElement) => T): T[] {
    this.#expect(DerTag.set);
    let last: DerElement | undefined;
    return this.#inside((cursor) =>
      cursor.all((element) => {
        if (last !== undefined && compareOctets(last.bytes, element.bytes) > 0) {
          element.refuse('set is not in ascending order');
        }
        last = element;
        return each(element);
      }),
    );
  }

  /** Every element of a SEQUENCE OF. */
  sequenceOf<T>(each: (element: DerElement) => T): T[] {
    return this.sequence((cursor) => cursor.all(each));
  }

  /** The one element inside an explicit context tag. */
  explicit(tag: number): DerElement {
    if (!this.isContext(tag) || !this.constructed) {
      return this.refuse(`expected [${tag}]`, 'unexpected-tag');
    }
    return this.#inside((cursor) => cursor.next());
  }

  /** This element read as the universal type that an implicit context tag replaced. */
  implicit(tag: number, universalTag: number): DerElement {
    const isConstructed = universalTag === DerTag.sequence || universalTag === DerTag.set;
    if (!this.isContext(tag) || this.constructed !== isConstructed) {
      return this.refuse(`expected [${tag}]`, 'unexpected-tag');
    }
    return new DerElement(this.#reading, {
      ...this.#parts,
      tagClass: 'universal',
      tag: universalTag,
    });
  }

  integer(): bigint {
    this.#expect(DerTag.integer);
    return this.#take(integerValue(this.content));
  }

  /** An INTEGER from 0 to `max` as a number. */
  smallInteger(max: number): number {
    const value = this.integer();
    return value >= 0n && value <= BigInt(max)
      ? Number(value)
      : this.refuse('integer out of range');
  }

  enumerated(): bigint {
    this.#expect(DerTag.enumerated);
    return this.#take(integerValue(this.content));
  }

  boolean(): boolean {
    this.#expect(DerTag.boolean);
    return this.#take(booleanValue(this.content));
  }

  null(): void {
    this.#expect(DerTag.null);
    if (this.content.length > 0) this.refuse('null with contents');
  }

  oid(): string {
    this.#expect(DerTag.oid);
    return this.#take(oidValue(this.content));
  }

  octetString(): Uint8Array {
    this.#expect(DerTag.octetString);
    return this.content;
  }

  bitString(): BitString {
    this.#expect(DerTag.bitString);
    return this.#take(bitStringValue(this.content));
  }

  /** A BIT STRING of whole octets, as keys and signatures are. */
  bitStringOctets(): Uint8Array {
    const { bytes, unusedBits } = this.bitString();
    return unusedBits === 0 ? bytes : this.refuse('bit string is not whole octets');
  }

  /** Numbers of the set bits of a named bit list such as KeyUsage. */
  namedBits(): ReadonlySet<number> {
    this.#expect(DerTag.bitString);
    return this.#take(namedBitsValue(this.content));
  }

  /**
   * Numbers of the set bits of any BIT STRING, with zero bits at the end allowed: widespread encoders
   * write named bit lists so, against X.690 11.2.2.
   */
  looseBits(): ReadonlySet<number> {
    return setBits(this.bitString());
  }

  /** Epoch milliseconds of a UTCTime or GeneralizedTime. */
  time(): number {
    if (this.isUniversal(DerTag.utcTime)) return this.#take(utcTimeValue(this.content));
    if (this.isUniversal(DerTag.generalizedTime)) {
      return this.#take(generalizedTimeValue(this.content));
    }
    return this.refuse('expected a time', 'unexpected-tag');
  }

  /** Any character string type, checked against its repertoire. */
  text(): DerText {
    const value = this.tagClass === 'universal' ? textValue(this.tag, this.content) : undefined;
    return value === undefined
      ? this.refuse('expected a string', 'unexpected-tag')
      : this.#take(value);
  }

  /** An IA5String, the ASCII string of names in certificates. */
  ia5(): string {
    this.#expect(DerTag.ia5String);
    return this.text().text;
  }

  /** Proves every element below this one well formed. */
  checkTree(): void {
    const open: DerElement[] = [this];
    for (let element = open.pop(); element !== undefined; element = open.pop()) {
      if (element.constructed) element.#inside((cursor) => cursor.all((inner) => open.push(inner)));
    }
  }

  #expect(tag: number): void {
    if (!this.isUniversal(tag)) this.refuse(`expected universal type ${tag}`, 'unexpected-tag');
  }

  #take<T>(value: Result<T, string>): T {
    return value.ok ? value.value : this.refuse(value.error);
  }

  #inside<T>(read: (cursor: DerCursor) => T): T {
    const { contentStart, contentEnd, depth } = this.#parts;
    if (depth >= this.#reading.limits.depthMax) this.refuse('nested too deeply', 'too-deep');
    const cursor = new DerCursor(this.#reading, contentStart, contentEnd, depth + 1);
    const value = read(cursor);
    cursor.end();
    return value;
  }
}

/** Walks the elements of one constructed element, in order. */
export class DerCursor {
  readonly #reading: Reading;
  readonly #end: number;
  readonly #depth: number;
  #at: number;
  #peeked: DerElement | undefined;

  constructor(reading: Reading, start: number, end: number, depth: number) {
    this.#reading = reading;
    this.#at = start;
    this.#end = end;
    this.#depth = depth;
  }

  get done(): boolean {
    return this.#at >= this.#end;
  }

  /** The next element; refuses where there is none. */
  next(): DerElement {
    const element = this.peek();
    if (element === undefined) return this.#refuse('missing-element', 'an element is missing');
    this.#at = element.offset + element.bytes.length;
    this.#peeked = undefined;
    return element;
  }

  /** The next element, which stays next. */
  peek(): DerElement | undefined {
    if (this.done) return undefined;
    this.#peeked ??= readElement(this.#reading, this.#at, this.#end, this.#depth);
    return this.#peeked;
  }

  /** The next element if it has this context tag: an OPTIONAL or DEFAULT field. */
  optionalContext(tag: number): DerElement | undefined {
    return this.peek()?.isContext(tag) === true ? this.next() : undefined;
  }

  /** The next element if it is of this universal type: an OPTIONAL or DEFAULT field. */
  optional(tag: number): DerElement | undefined {
    return this.peek()?.isUniversal(tag) === true ? this.next() : undefined;
  }

  /** Maps what is left. */
  all<T>(each: (element: DerElement) => T): T[] {
    const values: T[] = [];
    while (!this.done) values.push(each(this.next()));
    return values;
  }

  /** Refuses elements that nobody read. */
  end(): void {
    if (!this.done) this.#refuse('trailing-bytes', 'more elements than the type has');
  }

  #refuse(code: DerErrorCode, detail: string): never {
    throw new DerRefusal({ code, offset: this.#at, detail });
  }
}

function readElement(reading: Reading, start: number, end: number, depth: number): DerElement {
  reading.elements += 1;
  if (reading.elements > reading.limits.elementsMax) {
    throw new DerRefusal({ code: 'too-many-elements', offset: start, detail: 'too many elements' });
  }
  const header = readHeader(reading.bytes, start, end);
  if (!header.ok) throw new DerRefusal(header.error);
  return new DerElement(reading, { ...header.value, start, depth });
}

/** X.690 11.6: as octet strings, the shorter padded with zeros. */
function compareOctets(a: Uint8Array, b: Uint8Array): number {
  const length = Math.max(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * Decodes bytes that are exactly one DER element. Whatever an accessor refuses inside `decode` becomes
 * the error; anything else that `decode` throws is a bug and passes through.
 */
export function decodeDer<T>(
  bytes: Uint8Array,
  decode: (root: DerElement) => T,
  limits: Partial<DerLimits> = {},
): Result<T, DerError> {
  const reading: Reading = { bytes, limits: { ...derLimits, ...limits }, elements: 0 };
  if (bytes.length > reading.limits.bytesMax) {
    return err({
      code: 'too-large',
      offset: 0,
      detail: `more than ${reading.limits.bytesMax} bytes`,
    });
  }
  try {
    const root = readElement(reading, 0, bytes.length, 0);
    const length = root.bytes.length;
    if (length !== bytes.length) {
      return err({ code: 'trailing-bytes', offset: length, detail: 'bytes after the element' });
    }
    return ok(decode(root));
  } catch (error) {
    if (error instanceof DerRefusal) return err(error.error);
    throw error;
  }
}

/**
 * The first element of `bytes` and its length, where more may follow (a chain of concatenated
 * certificates). The bytes after it are the caller's to account for.
 */
export function readDer<T>(
  bytes: Uint8Array,
  decode: (root: DerElement) => T,
  limits: Partial<DerLimits> = {},
): Result<{ readonly value: T; readonly length: number }, DerError> {
  const header = readHeader(bytes, 0, bytes.length);
  if (!header.ok) return header;
  const length = header.value.contentEnd;
  const value = decodeDer(bytes.subarray(0, length), decode, limits);
  return value.ok ? ok({ value: value.value, length }) : value;
}

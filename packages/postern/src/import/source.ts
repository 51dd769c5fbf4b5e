import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';

/**
 * A document of another product while it is read. Everything that is asked for is ticked off; what nobody asked for in the end is what
 * the import would have lost silently.
 */
export class Source {
  readonly value: JsonValue | undefined;
  /** Where it stands in its document, as people write it: `model_list[0].litellm_params`. */
  readonly at: string;
  readonly #members = new Map<string, Source>();
  #isTaken = false;

  constructor(value: JsonValue | undefined, at = '') {
    this.value = value;
    this.at = at;
  }

  /** A member; absent ones are sources of nothing, so that a reader can go on. */
  get(name: string): Source {
    const known = this.#members.get(name);
    if (known !== undefined) return known;
    const member = new Source(
      isJsonObject(this.value) ? this.value[name] : undefined,
      this.at === '' ? name : `${this.at}.${name}`,
    );
    this.#members.set(name, member);
    return member;
  }

  /** The elements of a list; none of anything else. */
  items(): readonly Source[] {
    const { value } = this;
    if (!Array.isArray(value)) return [];
    return value.map((each: JsonValue, n) => {
      const name = String(n);
      const item = this.#members.get(name) ?? new Source(each, `${this.at}[${n}]`);
      this.#members.set(name, item);
      return item;
    });
  }

  /** The members of an object with their names; none of anything else. */
  entries(): readonly (readonly [string, Source])[] {
    return isJsonObject(this.value)
      ? Object.keys(this.value).map((name) => [name, this.get(name)] as const)
      : [];
  }

  /** The text, ticked off. Numbers are texts where a document leaves out quotes. */
  text(): string | undefined {
    const { value } = this;
    if (typeof value !== 'string' && typeof value !== 'number') return undefined;
    this.#isTaken = true;
    return String(value);
  }

  /** The number, ticked off; also one that stands in quotes. */
  number(): number | undefined {
    const { value } = this;
    const read = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
    if (typeof read !== 'number' || !Number.isFinite(read)) return undefined;
    this.#isTaken = true;
    return read;
  }

  flag(): boolean | undefined {
    if (typeof this.value !== 'boolean') return undefined;
    this.#isTaken = true;
    return this.value;
  }

  /** Texts of a list, or one text alone, ticked off. */
  texts(): readonly string[] {
    const alone = this.text();
    return alone === undefined ? this.items().flatMap((item) => item.text() ?? []) : [alone];
  }

  /** The whole value, ticked off with all that is in it. */
  take(): JsonValue | undefined {
    this.#isTaken = true;
    return this.value;
  }

  /** Says that it was read, whatever it holds. */
  seen(): this {
    this.#isTaken = true;
    return this;
  }

  /** Places that nobody ticked off and that say something: null, false and empty things do not. */
  left(): readonly string[] {
    if (this.#isTaken || isNothing(this.value)) return [];
    const inside = [...membersOf(this.value)].flatMap(([name]) =>
      (this.#members.get(name) ?? this.#untouched(name)).left(),
    );
    const touched = this.#members.size > 0;
    return touched ? inside : [this.at];
  }

  #untouched(name: string): Source {
    // Asked only for members of what is a list or an object.
    return Array.isArray(this.value)
      ? new Source(this.value[Number(name)], `${this.at}[${name}]`)
      : new Source((this.value as JsonObject)[name], this.at === '' ? name : `${this.at}.${name}`);
  }
}

function membersOf(value: JsonValue | undefined): readonly (readonly [string, JsonValue])[] {
  return typeof value === 'object' && value !== null ? Object.entries(value) : [];
}

function isNothing(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

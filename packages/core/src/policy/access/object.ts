/** Reads capability objects strictly: an object with anything unknown or malformed in it grants nothing. */
import type { JsonData } from '../file/source.ts';
import { parseGlob, type Glob } from './glob.ts';

/** Entries of one list of an object. */
const listMax = 1_000;
const textCharsMax = 512;

/** Collects what is wrong with one object. */
export class ObjectReader {
  readonly problems: string[] = [];
  readonly #fields: ReadonlyMap<string, JsonData>;

  constructor(value: JsonData, known: readonly string[]) {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!isObject) this.problems.push('must be an object');
    this.#fields = new Map<string, JsonData>(isObject ? Object.entries(value) : []);
    for (const name of this.#fields.keys()) {
      if (!known.includes(name)) this.problems.push(`unknown field ${JSON.stringify(name)}`);
    }
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  /** A list of texts; undefined where the field is absent. */
  texts(name: string): readonly string[] | undefined {
    const value = this.#fields.get(name);
    if (value === undefined) return undefined;
    const list: readonly JsonData[] = Array.isArray(value) ? value : [null];
    const texts = list.filter(
      (item) => typeof item === 'string' && item !== '' && item.length <= textCharsMax,
    );
    if (texts.length === list.length && list.length <= listMax) {
      return texts.flatMap((text) => (typeof text === 'string' ? [text] : []));
    }
    this.problems.push(`${name} must be a list of at most ${listMax} texts`);
    return [];
  }

  globs(name: string): readonly Glob[] | undefined {
    return this.texts(name)?.flatMap((text) => {
      const glob = parseGlob(text);
      if (glob === undefined) this.problems.push(`${name}: ${JSON.stringify(text)} is not a glob`);
      return glob ?? [];
    });
  }

  /** A list whose entries are all among `allowed`. */
  oneOf<T extends string>(name: string, allowed: readonly T[]): ReadonlySet<T> | undefined {
    const texts = this.texts(name);
    if (texts === undefined) return undefined;
    const found = new Set<T>();
    for (const text of texts) {
      const known = allowed.find((value) => value === text);
      if (known === undefined) {
        this.problems.push(`${name}: ${JSON.stringify(text)} is not one of ${allowed.join(', ')}`);
      } else {
        found.add(known);
      }
    }
    return found;
  }

  text(name: string): string | undefined {
    const value = this.#fields.get(name);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && value !== '' && value.length <= textCharsMax) return value;
    this.problems.push(`${name} must be a text`);
    return undefined;
  }

  positiveInteger(name: string): number | undefined {
    const value = this.#fields.get(name);
    if (value === undefined) return undefined;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
    this.problems.push(`${name} must be a whole number above 0`);
    return undefined;
  }

  flag(name: string): boolean | undefined {
    const value = this.#fields.get(name);
    if (value === undefined || typeof value === 'boolean') return value;
    this.problems.push(`${name} must be true or false`);
    return undefined;
  }

  /** A list of raw values, for fields with a form of their own. */
  list(name: string): readonly JsonData[] | undefined {
    const value = this.#fields.get(name);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.length <= listMax) return value;
    this.problems.push(`${name} must be a list of at most ${listMax} entries`);
    return [];
  }
}

/** Walks a source tree and turns shape errors into findings, so that each section reads like its grammar. */
import { goQuote } from '../../base/quote.ts';
import type { Findings } from './finding.ts';
import { entriesMax, textCharsMax } from './limits.ts';
import type { Position, SourceMember, SourceValue } from './source.ts';

/** A text and where it stands. Surrounding white space is gone, as the hosted service drops it. */
export interface Text {
  readonly text: string;
  readonly at: Position;
}

export type Fields<Name extends string> = Readonly<Partial<Record<Name, SourceValue>>>;

export class Reader {
  readonly findings: Findings;

  constructor(findings: Findings) {
    this.findings = findings;
  }

  /**
   * The known members of an object, found whatever their case. A member that is null counts as absent (Go's
   * decoder leaves the zero value), one that is not in `names` or stands twice is an error.
   */
  fields<const Name extends string>(
    source: SourceValue,
    what: string,
    names: readonly Name[],
    aliases: ReadonlyMap<string, Name> = new Map(),
  ): Fields<Name> {
    const found: Partial<Record<Name, SourceValue>> = {};
    for (const member of this.members(source, what)) {
      const lower = member.name.toLowerCase();
      const name = names.find((known) => known.toLowerCase() === lower) ?? aliases.get(lower);
      if (name === undefined) {
        this.findings.error('unknown_field', member.at, `unknown field ${goQuote(member.name)}`);
      } else if (found[name] !== undefined) {
        this.findings.error('duplicate_field', member.at, `${goQuote(name)} is given twice`);
      } else if (member.value.kind !== 'null') {
        found[name] = member.value;
      }
    }
    return found;
  }

  /** Members of a map from names, each name once; none when it is not an object. */
  entries(source: SourceValue | undefined, what: string): readonly SourceMember[] {
    if (source === undefined) return [];
    const seen = new Set<string>();
    return this.members(source, what).filter((member) => {
      const isNew = !seen.has(member.name);
      if (!isNew) {
        this.findings.error('duplicate_field', member.at, `${goQuote(member.name)} is given twice`);
      }
      seen.add(member.name);
      return isNew;
    });
  }

  members(source: SourceValue, what: string): readonly SourceMember[] {
    if (source.kind !== 'object') {
      this.wrongType(source, what, 'an object');
      return [];
    }
    return this.#bounded(source.members, source.at, what);
  }

  items(
    source: SourceValue | undefined,
    what: string,
    max: number = entriesMax,
  ): readonly SourceValue[] {
    if (source === undefined || source.kind === 'null') return [];
    if (source.kind !== 'array') {
      this.wrongType(source, what, 'an array');
      return [];
    }
    return this.#bounded(source.items, source.at, what, max);
  }

  texts(source: SourceValue | undefined, what: string): readonly Text[] {
    return this.items(source, what).flatMap((item) => this.text(item, what) ?? []);
  }

  text(source: SourceValue | undefined, what: string): Text | undefined {
    if (source === undefined || source.kind === 'null') return undefined;
    if (source.kind !== 'string') {
      this.wrongType(source, what, 'a string');
      return undefined;
    }
    if (source.value.length > textCharsMax) {
      this.findings.error('limit', source.at, `${what} is longer than ${textCharsMax} characters`);
      return undefined;
    }
    return { text: source.value.trim(), at: source.at };
  }

  flag(source: SourceValue | undefined, what: string): boolean | undefined {
    if (source === undefined) return undefined;
    if (source.kind === 'boolean') return source.value;
    this.wrongType(source, what, 'true or false');
    return undefined;
  }

  integer(source: SourceValue | undefined, what: string): number | undefined {
    if (source === undefined) return undefined;
    if (source.kind === 'number' && Number.isSafeInteger(source.value)) return source.value;
    this.wrongType(source, what, 'a whole number');
    return undefined;
  }

  wrongType(source: SourceValue, what: string, wanted: string): void {
    this.findings.error('wrong_type', source.at, `${what} must be ${wanted}, not ${source.kind}`);
  }

  #bounded<T>(
    list: readonly T[],
    at: Position,
    what: string,
    max: number = entriesMax,
  ): readonly T[] {
    if (list.length <= max) return list;
    this.findings.error('limit', at, `${what} has more than ${max} entries`);
    return list.slice(0, max);
  }
}

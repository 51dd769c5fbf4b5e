import type { JsonObject, JsonValue } from '@postern/core/base';
import type { Source } from './source.ts';

/** What became of something that the other product's files say. */
export interface Note {
  /**
   * `changed`: it is there, but means something else. `lost`: Postern has nothing for it. `todo`: somebody has to do something before it works.
   */
  readonly kind: 'changed' | 'lost' | 'todo';
  /** Where it stands in the source. */
  readonly at: string;
  readonly message: string;
}

/** A file beside the configuration. */
export interface MadeFile {
  /** Below the folder that is written. */
  readonly name: string;
  readonly text: string;
  readonly isSecret: boolean;
}

/** What an import comes to. */
export interface Imported {
  readonly config: JsonObject;
  /** The text of a policy file that is kept as it was, or one to write. */
  readonly policy: JsonObject | string;
  readonly files: readonly MadeFile[];
  readonly notes: readonly Note[];
}

/** Collects notes and files while a source is read. */
export class Report {
  readonly notes: Note[] = [];
  readonly files: MadeFile[] = [];

  changed(at: string, message: string): void {
    this.notes.push({ kind: 'changed', at, message });
  }

  lost(at: string, message: string): void {
    this.notes.push({ kind: 'lost', at, message });
  }

  todo(at: string, message: string): void {
    this.notes.push({ kind: 'todo', at, message });
  }

  /** Ticks a member off that has no counterpart, with the reason where it says something. */
  drop(source: Source, message: string): void {
    const says = source.left().length > 0;
    source.seen();
    if (says) this.lost(source.at, message);
  }

  /** Everything that nobody has asked for. */
  rest(source: Source): void {
    for (const at of source.left()) this.lost(at, 'Postern does not know this setting.');
  }

  /** Puts a secret that stood in the source into a file of its own, and says where it is. */
  secret(name: string, text: string, at: string): JsonObject {
    const same = this.files.find((each) => each.isSecret && each.text === `${text}\n`);
    const taken = new Set(this.files.map((each) => each.name.replace('secrets/', '')));
    const file = same?.name ?? `secrets/${freeId(name, taken)}`;
    if (same === undefined) this.files.push({ name: file, text: `${text}\n`, isSecret: true });
    this.changed(
      at,
      `The secret stood in the file; it is in ${file} now, which only you can read.`,
    );
    return { file };
  }
}

/** A name that is free among those given, from one that may not be allowed as it is. */
export function freeId(wanted: string, taken: ReadonlySet<string>, charsMax = 32): string {
  const plain = wanted
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '')
    .slice(0, charsMax - 3);
  const base = plain === '' ? 'x' : plain;
  for (let n = 1; ; n += 1) {
    const name = n === 1 ? base : `${base}-${n}`;
    if (!taken.has(name)) return name;
  }
}

/** Members without those that are undefined. */
export function present(members: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    ),
  );
}

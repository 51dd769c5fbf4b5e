/** Capability objects of a file or of an engine's map, each with the id under which decisions name it. */
import type { NetworkRule, PolicyFile } from '../file/model.ts';
import type { Position } from '../file/source.ts';
import { pointerStep } from '../file/source.ts';
import type { WireCapMap } from '../compile/wire.ts';
import {
  adminCapability,
  type AdminObject,
  aiCapability,
  type AiObject,
  apertureCapability,
  type ApertureObject,
  meshCapability,
  type MeshObject,
  type ObjectProblems,
  readAdminObject,
  readAiObject,
  readApertureObject,
  readMeshObject,
} from './capability.ts';
import type { Result } from '../../base/result.ts';
import type { JsonData } from '../file/source.ts';

export type EntryBody =
  | { readonly kind: 'ai'; readonly object: AiObject }
  | { readonly kind: 'admin'; readonly object: AdminObject }
  | { readonly kind: 'mesh'; readonly object: MeshObject }
  | { readonly kind: 'aperture'; readonly object: ApertureObject };

export type Entry = EntryBody & {
  /** Pointer of the object: `/grants/3/app/postern.dev~1cap~1ai/0`, or in the map of an engine. */
  readonly id: string;
  readonly at: Position;
  /** The rule of the file; undefined for an entry of an engine's map. */
  readonly rule: NetworkRule | undefined;
};

/** An object that grants nothing, and why. */
export interface EntryProblem {
  readonly id: string;
  readonly at: Position;
  readonly capability: string;
  readonly problems: ObjectProblems;
}

export interface Entries {
  /** In file order. */
  readonly entries: readonly Entry[];
  readonly problems: readonly EntryProblem[];
}

type ReadEntry = (value: JsonData) => Result<EntryBody, ObjectProblems>;

const readers: ReadonlyMap<string, ReadEntry> = new Map<string, ReadEntry>([
  [aiCapability, (value) => tag('ai', readAiObject(value))],
  [adminCapability, (value) => tag('admin', readAdminObject(value))],
  [meshCapability, (value) => tag('mesh', readMeshObject(value))],
  [apertureCapability, (value) => tag('aperture', readApertureObject(value))],
]);

function tag<K extends EntryBody['kind'], T>(
  kind: K,
  read: Result<T, ObjectProblems>,
): Result<{ readonly kind: K; readonly object: T }, ObjectProblems> {
  return read.ok ? { ok: true, value: { kind, object: read.value } } : read;
}

/** Every object of the file that Postern reads. A rule without sources or destinations has none. */
export function entriesOfFile(file: PolicyFile): Entries {
  const entries: Entry[] = [];
  const problems: EntryProblem[] = [];
  for (const rule of file.grants ?? []) {
    for (const { name, values } of rule.app) {
      const read = readers.get(name);
      if (read === undefined) continue;
      for (const { value, at } of values) {
        const id = at.pointer;
        const body = read(value);
        if (body.ok) entries.push({ ...body.value, id, at, rule });
        else problems.push({ id, at, capability: name, problems: body.error });
      }
    }
  }
  return { entries, problems };
}

/** Every object of what an engine says about one caller. */
export function entriesOfCapMap(capMap: WireCapMap): Entries {
  const entries: Entry[] = [];
  const problems: EntryProblem[] = [];
  for (const [name, read] of readers) {
    const pointer = pointerStep('', name);
    for (const [i, value] of (capMap[name] ?? []).entries()) {
      const id = pointerStep(pointer, i);
      const at = { pointer: id, line: 0, column: 0 };
      const body = read(value);
      if (body.ok) entries.push({ ...body.value, id, at, rule: undefined });
      else problems.push({ id, at, capability: name, problems: body.error });
    }
  }
  return { entries, problems };
}

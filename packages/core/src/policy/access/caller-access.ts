/** What one caller may do: its entries, arranged so that a decision looks at few of them. */
import type { AiObject } from './capability.ts';
import {
  type AdminDecision,
  type AiDecision,
  type AiDenial,
  type AiRequest,
  decisionId,
  type MeshDecision,
  type MeshRequest,
} from './decision.ts';
import type { Entry } from './entry.ts';

/** Names of models whose candidates are remembered. Callers choose names, so that the memory has to end. */
const rememberedModelsMax = 512;

interface AiCandidate {
  readonly object: AiObject;
  readonly decision: AiDecision;
}

type Of<K extends Entry['kind']> = Entry & { kind: K };

/** Immutable but for what it remembers. Make one for each caller and policy revision, and keep it. */
export class CallerAccess {
  readonly revision: string;
  readonly #ai: readonly AiCandidate[];
  readonly #exact = new Map<string, number[]>();
  /** Objects with globs, by the first segment of the glob; under the empty text those whose first segment has a star. */
  readonly #globbed = new Map<string, number[]>();
  readonly #admin: readonly Of<'admin'>[];
  readonly #mesh: readonly Of<'mesh'>[];
  readonly #remembered = new Map<string, readonly AiCandidate[]>();
  readonly #denials = new Map<AiDenial, AiDecision>();

  constructor(revision: string, entries: readonly Entry[]) {
    this.revision = revision;
    this.#ai = aiCandidates(revision, entries);
    this.#admin = entries.filter((entry) => entry.kind === 'admin');
    this.#mesh = entries.filter((entry) => entry.kind === 'mesh');
    this.#ai.forEach(({ object }, i) => {
      for (const { exact, text } of object.models) {
        if (exact === undefined) add(this.#globbed, fixedSegment(text), i);
        else add(this.#exact, exact, i);
      }
    });
  }

  /** Whether the caller has any `cap/ai` at all. */
  get hasAi(): boolean {
    return this.#ai.length > 0;
  }

  /** The first object in file order all of whose conditions hold; else the condition that came closest. */
  decideAi(request: AiRequest): AiDecision {
    if (this.#ai.length === 0) return this.#deny('no_grant');
    const candidates = this.#candidates(request.model);
    let denial: AiDenial = 'model';
    let maxOutputTokens = 0;
    for (const { object, decision } of candidates) {
      if (object.dialects !== undefined && !object.dialects.has(request.dialect)) {
        if (denial === 'model') denial = 'dialect';
      } else if (object.requireAttested && !request.attested) {
        if (denial !== 'output_limit') denial = 'attestation';
      } else if (isAbove(request.maxOutputTokens, object.maxOutputTokens)) {
        denial = 'output_limit';
        maxOutputTokens = Math.max(maxOutputTokens, object.maxOutputTokens ?? 0);
      } else {
        return decision;
      }
    }
    if (denial !== 'output_limit') return this.#deny(denial);
    const id = decisionId(this.revision, `deny/ai/${denial}`);
    return { allowed: false, id, reason: denial, maxOutputTokens };
  }

  /** Whether some object names the model, whatever its other conditions: what a list of models shows. */
  listsModel(model: string): boolean {
    return this.#candidates(model).length > 0;
  }

  decideAdmin(tool: string): AdminDecision {
    for (const { id, object } of this.#admin) {
      if (object.tools.some((glob) => glob.matches(tool))) {
        return { allowed: true, id: decisionId(this.revision, id), object };
      }
    }
    const reason = this.#admin.length === 0 ? 'no_grant' : 'tool';
    return { allowed: false, id: decisionId(this.revision, `deny/admin/${reason}`), reason };
  }

  decideMesh(request: MeshRequest): MeshDecision {
    let reason: (MeshDecision & { allowed: false })['reason'] = 'no_grant';
    for (const { id, object } of this.#mesh) {
      const failed = failedMesh(object, request);
      if (failed === undefined) {
        return { allowed: true, id: decisionId(this.revision, id), object };
      }
      if (rank(failed) > rank(reason)) reason = failed;
    }
    return { allowed: false, id: decisionId(this.revision, `deny/mesh/${reason}`), reason };
  }

  #deny(reason: AiDenial): AiDecision {
    const known = this.#denials.get(reason);
    if (known !== undefined) return known;
    const id = decisionId(this.revision, `deny/ai/${reason}`);
    const decision = { allowed: false, id, reason } as const;
    this.#denials.set(reason, decision);
    return decision;
  }

  /** Objects that name the model, in file order. */
  #candidates(model: string): readonly AiCandidate[] {
    const remembered = this.#remembered.get(model);
    if (remembered !== undefined) return remembered;
    const found = new Set(this.#exact.get(model));
    const segment = firstSegment(model);
    const globbed = [...(this.#globbed.get(segment) ?? []), ...(this.#globbed.get('') ?? [])];
    for (const i of globbed) {
      if (this.#ai[i]?.object.models.some((glob) => glob.matches(model)) === true) found.add(i);
    }
    const candidates = [...found].sort((a, b) => a - b).flatMap((i) => this.#ai[i] ?? []);
    if (this.#remembered.size >= rememberedModelsMax) this.#remembered.clear();
    this.#remembered.set(model, candidates);
    return candidates;
  }
}

function add(map: Map<string, number[]>, key: string, i: number): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [i]);
  else list.push(i);
}

function firstSegment(name: string): string {
  const slash = name.indexOf('/');
  return slash < 0 ? name : name.slice(0, slash);
}

/** What every name that the glob matches starts with, up to its first slash; empty where that is not fixed. */
function fixedSegment(glob: string): string {
  const segment = firstSegment(glob);
  return segment.includes('*') ? '' : segment;
}

function isAbove(asked: number | undefined, most: number | undefined): boolean {
  return asked !== undefined && most !== undefined && asked > most;
}

function aiCandidates(revision: string, entries: readonly Entry[]): readonly AiCandidate[] {
  const hasRole = entries.some(
    (entry) => entry.kind === 'aperture' && entry.object.role !== undefined,
  );
  return entries.flatMap((entry) => {
    const object = aiObjectOf(entry, hasRole);
    if (object === undefined) return [];
    const id = decisionId(revision, entry.id);
    return [{ object, decision: Object.freeze({ allowed: true, id, object } as const) }];
  });
}

/** Objects of Aperture count only for who has a role in any of them. */
function aiObjectOf(entry: Entry, hasRole: boolean): AiObject | undefined {
  if (entry.kind === 'ai') return entry.object;
  if (entry.kind !== 'aperture' || !hasRole || entry.object.models === undefined) return undefined;
  return {
    models: [entry.object.models],
    dialects: undefined,
    requireAttested: false,
    maxOutputTokens: undefined,
    limits: [],
    budgets: [],
    capture: 'none',
  };
}

const meshOrder = ['no_grant', 'app', 'port', 'method', 'path'] as const;

function rank(reason: (typeof meshOrder)[number]): number {
  return meshOrder.indexOf(reason);
}

function failedMesh(
  object: Of<'mesh'>['object'],
  { app, port, method, path }: MeshRequest,
): 'app' | 'port' | 'method' | 'path' | undefined {
  if (!object.apps.some((glob) => glob.matches(app))) return 'app';
  if (!object.ports.some(({ first, last }) => first <= port && port <= last)) return 'port';
  const { methods, paths } = object;
  if (methods !== undefined && (method === undefined || !methods.has(method.toUpperCase()))) {
    return 'method';
  }
  const isPath = path !== undefined && paths?.some((glob) => glob.matches(path)) === true;
  return paths === undefined || isPath ? undefined : 'path';
}

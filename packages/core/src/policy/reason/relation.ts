/**
 * Who may reach what under one policy: every pair of atoms with what is open between them, the capabilities and the
 * SSH logins. Atoms that the rules treat alike are one class, so that a tailnet of thousands of nodes comes to
 * a table of some hundreds of rows.
 */
import { isV4 } from '../../base/netip/index.ts';
import type { SourceAtom, TargetAtom, Atoms } from './atoms.ts';
import { closed, fullyOpen, type Opening, openingOf, unionOpenings } from './opening.ts';
import { type Effect, RuleTokens } from './rule-tokens.ts';
import { type SshLogins, sshLoginsOf } from './ssh-logins.ts';
import type { Tailnet } from '../compile/tailnet.ts';

/** Atoms of one side that the policy does not tell apart. */
export interface AtomClass<Atom> {
  readonly id: number;
  readonly atoms: readonly Atom[];
  /** What the rules say about these atoms. */
  readonly tokens: readonly number[];
  readonly tokenSet: ReadonlySet<number>;
  readonly isV4: boolean;
}

/** Everything between a source and a target. */
export interface Access {
  readonly opening: Opening;
  /** Capabilities with their objects, as canonical texts `name value`, sorted. */
  readonly capabilities: readonly string[];
  readonly ssh: SshLogins;
}

export class Relation {
  readonly tailnet: Tailnet;
  readonly atoms: Atoms;
  readonly sources: readonly AtomClass<SourceAtom>[];
  readonly targets: readonly AtomClass<TargetAtom>[];
  readonly #tokens: RuleTokens;
  readonly #sourceClass: readonly AtomClass<SourceAtom>[];
  readonly #targetClass: readonly AtomClass<TargetAtom>[];
  readonly #targetsByToken: ReadonlyMap<number, readonly AtomClass<TargetAtom>[]>;
  /** By the rules that apply: many pairs of classes have the same. */
  readonly #known = new Map<string, Access>();

  constructor(tailnet: Tailnet, atoms: Atoms) {
    this.tailnet = tailnet;
    this.atoms = atoms;
    this.#tokens = new RuleTokens(tailnet, atoms);
    const sources = classesOf(atoms.sources, this.#tokens.ofSources);
    const targets = classesOf(atoms.targets, this.#tokens.ofTargets);
    this.sources = sources.classes;
    this.targets = targets.classes;
    this.#sourceClass = sources.classOf;
    this.#targetClass = targets.classOf;
    this.#targetsByToken = targetsByToken(targets.classes, this.#tokens);
  }

  sourceClass(atom: SourceAtom): AtomClass<SourceAtom> | undefined {
    return this.#sourceClass[atom.id];
  }

  targetClass(atom: TargetAtom): AtomClass<TargetAtom> | undefined {
    return this.#targetClass[atom.id];
  }

  /** Between any atom of one class and any of the other. The caller sees to it that families agree. */
  between(source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    const tokens = this.#tokens.matching(source.tokenSet, target.tokens);
    if (tokens.length === 0) return noAccess;
    const key = tokens.join();
    const known =
      this.#known.get(key) ?? combine(tokens.map((token) => this.#tokens.effectOf(token)));
    this.#known.set(key, known);
    return known;
  }

  /** The only targets to which a source may have any access. */
  reachedFrom(source: AtomClass<SourceAtom>): Iterable<AtomClass<TargetAtom>> {
    return new Set(source.tokens.flatMap((token) => this.#targetsByToken.get(token) ?? []));
  }

  access(source: SourceAtom, target: TargetAtom): Access {
    const [from, to] = [this.sourceClass(source), this.targetClass(target)];
    return from === undefined || to === undefined ? noAccess : this.between(from, to);
  }

  /** Ids of the rules that contribute to the access, in file order: `/grants/3`. */
  rulesBetween(source: SourceAtom, target: TargetAtom): readonly string[] {
    const [from, to] = [this.sourceClass(source), this.targetClass(target)];
    if (from === undefined || to === undefined) return [];
    return [...new Set(this.#effects(from, to).map(({ ruleId }) => ruleId))];
  }

  /** Ids of the rules that name the source, whatever the target. */
  rulesFrom(source: SourceAtom): readonly string[] {
    return this.#tokens.rulesOfSource(this.sourceClass(source)?.tokens ?? []);
  }

  /** Ids of the rules that name the target, whatever the source. */
  rulesTo(target: TargetAtom): readonly string[] {
    return this.#tokens.rulesOfTarget(this.targetClass(target)?.tokens ?? []);
  }

  /** What one rule contributes by itself. */
  partOf(ruleId: string, source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    return combine(this.#effects(source, target).filter((effect) => effect.ruleId === ruleId));
  }

  /** What all other rules give together. */
  without(ruleId: string, source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    return combine(this.#effects(source, target).filter((effect) => effect.ruleId !== ruleId));
  }

  /** What the rules give together that are not left out. */
  withoutAll(
    ruleIds: ReadonlySet<string>,
    source: AtomClass<SourceAtom>,
    target: AtomClass<TargetAtom>,
  ): Access {
    return combine(this.#effects(source, target).filter(({ ruleId }) => !ruleIds.has(ruleId)));
  }

  #effects(source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): readonly Effect[] {
    return this.#tokens
      .matching(source.tokenSet, target.tokens)
      .map((token) => this.#tokens.effectOf(token));
  }
}

function targetsByToken(
  targets: readonly AtomClass<TargetAtom>[],
  tokens: RuleTokens,
): ReadonlyMap<number, readonly AtomClass<TargetAtom>[]> {
  const index = new Map<number, AtomClass<TargetAtom>[]>();
  for (const target of targets) {
    for (const wanted of new Set(target.tokens.map((token) => tokens.wantedBy(token)))) {
      const list = index.get(wanted);
      if (list === undefined) index.set(wanted, [target]);
      else list.push(target);
    }
  }
  return index;
}

function combine(effects: readonly Effect[]): Access {
  if (effects.length === 0) return noAccess;
  const openings = effects.flatMap((effect) => {
    if (effect.kind === 'all') return [fullyOpen];
    return effect.kind === 'ports' ? effect.ports.map(openingOf) : [];
  });
  const capabilities = effects.flatMap((effect) =>
    effect.kind === 'capability' ? effect.texts : [],
  );
  return {
    opening: unionOpenings(openings),
    capabilities: [...new Set(capabilities)].sort(),
    ssh: sshLoginsOf(effects.flatMap((effect) => (effect.kind === 'ssh' ? [effect] : []))),
  };
}

export const noAccess: Access = { opening: closed, capabilities: [], ssh: sshLoginsOf([]) };

interface Classes<Atom> {
  readonly classes: readonly AtomClass<Atom>[];
  readonly classOf: readonly AtomClass<Atom>[];
}

function classesOf<Atom extends SourceAtom | TargetAtom>(
  atoms: readonly Atom[],
  tokensOf: readonly (readonly number[])[],
): Classes<Atom> {
  const byKey = new Map<string, AtomClass<Atom> & { readonly atoms: Atom[] }>();
  const classOf: AtomClass<Atom>[] = [];
  for (const atom of atoms) {
    const tokens = tokensOf[atom.id] ?? [];
    // Packets never cross from one family to the other, so that a class has only one.
    const family = isV4(atom.addr);
    const key = `${family ? 4 : 6}|${tokens.join()}`;
    const known = byKey.get(key) ?? {
      id: byKey.size,
      atoms: [],
      tokens,
      tokenSet: new Set(tokens),
      isV4: family,
    };
    known.atoms.push(atom);
    byKey.set(key, known);
    classOf.push(known);
  }
  return { classes: [...byKey.values()], classOf };
}

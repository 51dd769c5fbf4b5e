/**
 * Who may reach what under one policy: every pair of atoms with what is open between them, the capabilities and the
 * SSH logins. Atoms that the rules treat alike are one class, so that a tailnet of thousands of nodes comes to
 * a table of some hundreds of rows.
 */
import { isV4 } from '../../base/netip/index.ts';
import type { SourceAtom, TargetAtom, Atoms } from './atoms.ts';
import { closed, fullyOpen, type Opening, openingOf, unionOpenings } from './opening.ts';
import { RuleTokens } from './rule-tokens.ts';
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
  readonly #known = new Map<number, Access>();

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
  }

  sourceClass(atom: SourceAtom): AtomClass<SourceAtom> | undefined {
    return this.#sourceClass[atom.id];
  }

  targetClass(atom: TargetAtom): AtomClass<TargetAtom> | undefined {
    return this.#targetClass[atom.id];
  }

  /** Between any atom of one class and any of the other. The caller sees to it that families agree. */
  between(source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    const key = source.id * this.targets.length + target.id;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const access = this.#access(source, target);
    this.#known.set(key, access);
    return access;
  }

  access(source: SourceAtom, target: TargetAtom): Access {
    const [from, to] = [this.sourceClass(source), this.targetClass(target)];
    return from === undefined || to === undefined ? noAccess : this.between(from, to);
  }

  /** Ids of the rules that contribute to the access, in file order: `/grants/3`. */
  rulesBetween(source: SourceAtom, target: TargetAtom): readonly string[] {
    const [from, to] = [this.sourceClass(source), this.targetClass(target)];
    if (from === undefined || to === undefined) return [];
    const ids = this.#tokens.effectsBetween(from.tokenSet, to.tokens).map(({ ruleId }) => ruleId);
    return [...new Set(ids)];
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
    return this.#combine(source, target, (id) => id === ruleId);
  }

  /** What all other rules give together. */
  without(ruleId: string, source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    return this.#combine(source, target, (id) => id !== ruleId);
  }

  #access(source: AtomClass<SourceAtom>, target: AtomClass<TargetAtom>): Access {
    return this.#combine(source, target, () => true);
  }

  #combine(
    source: AtomClass<SourceAtom>,
    target: AtomClass<TargetAtom>,
    counts: (ruleId: string) => boolean,
  ): Access {
    const effects = this.#tokens
      .effectsBetween(source.tokenSet, target.tokens)
      .filter(({ ruleId }) => counts(ruleId));
    if (effects.length === 0) return noAccess;
    const openings = effects.flatMap((effect) =>
      effect.kind === 'all'
        ? [fullyOpen]
        : effect.kind === 'ports'
          ? effect.ports.map(openingOf)
          : [],
    );
    const capabilities = effects.flatMap((effect) =>
      effect.kind === 'capability' ? effect.texts : [],
    );
    return {
      opening: unionOpenings(openings),
      capabilities: [...new Set(capabilities)].sort(),
      ssh: sshLoginsOf(effects.flatMap((effect) => (effect.kind === 'ssh' ? [effect] : []))),
    };
  }
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

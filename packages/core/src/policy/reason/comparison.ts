/** Two policies over one world: what the second allows and the first does not, and the other way round. */
import { formatAddr } from '../../base/netip/index.ts';
import { assert } from '../../base/assert.ts';
import type { Inventory } from '../compile/inventory.ts';
import { compileTailnet } from '../compile/tailnet.ts';
import type { PolicyFile } from '../file/model.ts';
import { type Atoms, atomsOf, type SourceAtom, type TargetAtom } from './atoms.ts';
import { sourceLabels, targetLabels } from './labels.ts';
import { normalForm } from './normal-form.ts';
import {
  formatOpening,
  isClosed,
  type PacketKind,
  samplePacket,
  subtractOpening,
} from './opening.ts';
import { type Access, type AtomClass, Relation } from './relation.ts';
import { type RuleRef, ruleRefs } from './rule-refs.ts';
import { effectiveLogin, loginNames, moreThan } from './ssh-logins.ts';
import { type AccessKind, type Gain, givingRules, isConfirmed } from './witness.ts';
import { type World, worldOf } from './world.ts';

/** One end of a witness. */
export interface WitnessEnd {
  readonly label: string;
  readonly address: string;
  /** The machine; absent for an address that belongs to none. */
  readonly nodeId: string | undefined;
}

/** One concrete case of a change. It has been checked against the compiled rules of both policies. */
export interface Witness {
  readonly source: WitnessEnd;
  readonly target: WitnessEnd;
  /** For `network`. */
  readonly packet: PacketKind | undefined;
  /** For `capability`, `name value`; for `ssh`, `action user`. */
  readonly detail: string | undefined;
  /** Posture attributes of the source. */
  readonly posture: Readonly<Record<string, string | number | boolean>>;
  /** Rules that allow it, in the file that does. */
  readonly rules: readonly RuleRef[];
}

export interface AccessChange {
  readonly change: 'added' | 'removed';
  readonly kind: AccessKind;
  readonly sources: readonly string[];
  readonly targets: readonly string[];
  /** Ports, `name value` of a capability, or `action user`. */
  readonly what: string;
  readonly witness: Witness;
  /** Ids of the atoms on both sides, for programs. Every pair of one family has the change. */
  readonly sourceAtoms: readonly number[];
  readonly targetAtoms: readonly number[];
}

/** The same change for all pairs of some classes of atoms. */
interface ChangeGroup extends Gain {
  readonly change: 'added' | 'removed';
  readonly sources: JointClass<SourceAtom>[];
  readonly targets: readonly JointClass<TargetAtom>[];
}

/** Atoms that neither policy tells apart. */
interface JointClass<Atom> {
  readonly id: number;
  readonly before: AtomClass<Atom>;
  readonly after: AtomClass<Atom>;
  readonly atoms: readonly Atom[];
}

export class Comparison {
  readonly world: World;
  readonly atoms: Atoms;
  readonly before: Relation;
  readonly after: Relation;
  readonly changes: readonly AccessChange[];

  constructor(world: World, before: PolicyFile, after: PolicyFile) {
    this.world = world;
    const tailnets = [before, after].map((file) => compileTailnet(file, world.inventory));
    this.atoms = atomsOf(world, tailnets);
    const [one, two] = tailnets.map((tailnet) => new Relation(tailnet, this.atoms));
    assert(one !== undefined && two !== undefined, 'two relations');
    this.before = one;
    this.after = two;
    this.changes = this.#fold(this.#groups());
  }

  /** Nothing that the first policy allows is refused by the second. */
  get beforeImpliesAfter(): boolean {
    return !this.changes.some(({ change }) => change === 'removed');
  }

  /** Nothing that the second policy allows is refused by the first. */
  get afterImpliesBefore(): boolean {
    return !this.changes.some(({ change }) => change === 'added');
  }

  get isEquivalent(): boolean {
    return this.changes.length === 0;
  }

  /** Normal forms of both policies over the same atoms. */
  normalForms(): { readonly before: string; readonly after: string } {
    return { before: normalForm(this.before), after: normalForm(this.after) };
  }

  /** First by what changes, then sources with the same targets together. */
  #groups(): readonly ChangeGroup[] {
    const sources = jointClasses(
      this.atoms.sources,
      (atom) => this.before.sourceClass(atom),
      (atom) => this.after.sourceClass(atom),
    );
    const targets = jointClasses(
      this.atoms.targets,
      (atom) => this.before.targetClass(atom),
      (atom) => this.after.targetClass(atom),
    );
    const reached = new ReachedTargets(targets);
    const gains = new GainCache();
    const groups = new Map<string, ChangeGroup>();
    for (const source of sources) {
      const ofSource = new Map<string, OpenGroup>();
      for (const target of reached.from(this.before, this.after, source)) {
        const before = this.before.between(source.before, target.before);
        const after = this.after.between(source.after, target.after);
        for (const change of ['added', 'removed'] as const) {
          const [less, more] = change === 'added' ? [before, after] : [after, before];
          for (const gain of gains.of(less, more, source.before.isV4)) {
            const key = `${change} ${gain.kind} ${gain.what}`;
            const open = ofSource.get(key) ?? { ...gain, change, targets: [] };
            open.targets.push(target);
            ofSource.set(key, open);
          }
        }
      }
      addSource(groups, source, ofSource);
    }
    return [...groups.values()];
  }

  /** Changes with the same words between the same places are one, whatever the family of the addresses. */
  #fold(groups: readonly ChangeGroup[]): readonly AccessChange[] {
    const folded = new Map<string, AccessChange>();
    for (const group of groups) {
      const from = atomsIn(group.sources);
      const to = atomsIn(group.targets);
      const [sources, targets] = [sourceLabels(from), targetLabels(to)];
      const { change, kind, what } = group;
      const key = JSON.stringify([change, kind, what, sources, targets]);
      const known = folded.get(key);
      folded.set(key, {
        change,
        kind,
        what,
        sources,
        targets,
        witness: known?.witness ?? this.#witness(group),
        sourceAtoms: [...(known?.sourceAtoms ?? []), ...from.map(({ id }) => id)],
        targetAtoms: [...(known?.targetAtoms ?? []), ...to.map(({ id }) => id)],
      });
    }
    return [...folded.values()];
  }

  #witness(group: ChangeGroup): Witness {
    // A real machine convinces more than an imagined one.
    const source = realFirst(
      group.sources.flatMap(({ atoms }) => atoms),
      this.world,
      (atom) => atom.slot,
    );
    const target = realFirst(
      group.targets.flatMap(({ atoms }) => atoms),
      this.world,
      (atom) => atom.slot,
    );
    const [allowing, refusing] =
      group.change === 'added' ? [this.after, this.before] : [this.before, this.after];
    assert(
      isConfirmed(allowing, group, source, target) && !isConfirmed(refusing, group, source, target),
      `the compiled rules confirm a witness: ${group.what} from ${source.label} to ${target.label}`,
    );
    const node =
      source.slot === undefined ? undefined : allowing.tailnet.index.at(source.slot)?.node;
    return {
      source: { label: source.label, address: formatAddr(source.addr), nodeId: node?.id },
      target: { label: target.label, address: formatAddr(target.addr), nodeId: target.nodeId },
      packet: group.packet,
      detail: group.kind === 'network' ? undefined : group.what,
      posture: Object.fromEntries(node?.postureAttributes ?? []),
      rules: ruleRefs(allowing.tailnet.program.file, givingRules(allowing, group, source, target)),
    };
  }
}

/** Compares over the tailnet and everything that either policy could mean. */
export function comparePolicies(
  before: PolicyFile,
  after: PolicyFile,
  inventory: Inventory,
): Comparison {
  return new Comparison(worldOf(inventory, [before, after]), before, after);
}

function jointClasses<Atom>(
  atoms: readonly Atom[],
  beforeOf: (atom: Atom) => AtomClass<Atom> | undefined,
  afterOf: (atom: Atom) => AtomClass<Atom> | undefined,
): readonly JointClass<Atom>[] {
  const byKey = new Map<string, JointClass<Atom> & { readonly atoms: Atom[] }>();
  for (const atom of atoms) {
    const [before, after] = [beforeOf(atom), afterOf(atom)];
    if (before === undefined || after === undefined) continue;
    const key = `${before.id},${after.id}`;
    const known = byKey.get(key) ?? { id: byKey.size, before, after, atoms: [] };
    known.atoms.push(atom);
    byKey.set(key, known);
  }
  return [...byKey.values()];
}

/** Targets of either policy, so that pairs without any access cost nothing. */
class ReachedTargets {
  readonly #byBefore = new Map<number, JointClass<TargetAtom>[]>();
  readonly #byAfter = new Map<number, JointClass<TargetAtom>[]>();

  constructor(targets: readonly JointClass<TargetAtom>[]) {
    for (const target of targets) {
      push(this.#byBefore, target.before.id, target);
      push(this.#byAfter, target.after.id, target);
    }
  }

  /** In the order of the targets, so that equal sets make equal groups. */
  from(
    before: Relation,
    after: Relation,
    source: JointClass<SourceAtom>,
  ): readonly JointClass<TargetAtom>[] {
    const found = new Set<JointClass<TargetAtom>>();
    for (const { id } of before.reachedFrom(source.before)) {
      for (const target of this.#byBefore.get(id) ?? []) found.add(target);
    }
    for (const { id } of after.reachedFrom(source.after)) {
      for (const target of this.#byAfter.get(id) ?? []) found.add(target);
    }
    return [...found]
      .filter((target) => target.before.isV4 === source.before.isV4)
      .sort((a, b) => a.id - b.id);
  }
}

/** What one access has over another, worked out once for each two of them and each family. */
class GainCache {
  readonly #known = { v4: new Map<Access, GainsOver>(), v6: new Map<Access, GainsOver>() };

  of(less: Access, more: Access, isV4: boolean): readonly Gain[] {
    if (less === more) return [];
    const family = isV4 ? this.#known.v4 : this.#known.v6;
    const over = family.get(less) ?? new Map<Access, readonly Gain[]>();
    const gains = over.get(more) ?? gainsOf(less, more, isV4);
    over.set(more, gains);
    family.set(less, over);
    return gains;
  }
}

type GainsOver = Map<Access, readonly Gain[]>;

/** What `more` allows and `less` does not. */
function gainsOf(less: Access, more: Access, isV4: boolean): readonly Gain[] {
  const none = { packet: undefined, login: undefined };
  const gains: Gain[] = [];
  const opening = subtractOpening(more.opening, less.opening);
  if (!isClosed(opening)) {
    const packet = samplePacket(opening, isV4);
    gains.push({ ...none, kind: 'network', what: formatOpening(opening), packet });
  }
  for (const text of more.capabilities) {
    if (!less.capabilities.includes(text)) gains.push({ ...none, kind: 'capability', what: text });
  }
  for (const name of loginNames(less.ssh, more.ssh)) {
    const action = effectiveLogin(more.ssh, name);
    if (action === undefined || !moreThan(action, effectiveLogin(less.ssh, name))) continue;
    gains.push({ ...none, kind: 'ssh', what: `${action} ${name}`, login: name });
  }
  return gains;
}

type OpenGroup = Omit<ChangeGroup, 'sources' | 'targets'> & {
  readonly targets: JointClass<TargetAtom>[];
};

function addSource(
  groups: Map<string, ChangeGroup>,
  source: JointClass<SourceAtom>,
  ofSource: ReadonlyMap<string, OpenGroup>,
): void {
  for (const [what, open] of ofSource) {
    const key = `${what} ${open.targets.map(({ id }) => id).join()}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { ...open, sources: [source] });
    else known.sources.push(source);
  }
}

function push<K, T>(map: Map<K, T[]>, key: K, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function atomsIn<Atom extends { readonly id: number }>(
  classes: readonly JointClass<Atom>[],
): readonly Atom[] {
  const atoms = [...new Set(classes)].flatMap((group) => group.atoms);
  return atoms.sort((a, b) => a.id - b.id);
}

function realFirst<Atom>(
  atoms: readonly Atom[],
  world: World,
  slotOf: (atom: Atom) => number | undefined,
): Atom {
  const real = world.inventory.nodes.length - world.archetypes.size;
  const found = atoms.find((atom) => (slotOf(atom) ?? real) < real) ?? atoms[0];
  assert(found !== undefined, 'a class has an atom');
  return found;
}

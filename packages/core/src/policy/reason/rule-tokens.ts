/**
 * What each rule says about each atom, as numbers. A rule applies between two atoms exactly when the source has
 * the number of the rule and the target a number that asks for it; `autogroup:self` has a number per owner.
 */
import { formatAddr, type IpSet } from '../../base/netip/index.ts';
import { present, unreachable } from '../../base/assert.ts';
import type { IndexedNode } from '../compile/node-index.ts';
import { hasSlot, slotsOf } from '../compile/node-set.ts';
import { domainOf } from '../compile/directory.ts';
import type { Destination, Principals, ProgramPorts, ProgramRule } from '../compile/program.ts';
import { internetSet } from '../compile/ranges.ts';
import { matchLiteral, routedAddresses } from '../compile/reach.ts';
import { containsAddr } from '../compile/resolve.ts';
import { lowerSsh, type SshProgramRule } from '../compile/ssh-rules.ts';
import type { Tailnet } from '../compile/tailnet.ts';
import type { SourceAtom, TargetAtom, Atoms } from './atoms.ts';
import { canonicalText } from './canonical.ts';
import type { SshEffect } from './ssh-logins.ts';

/** What a rule gives where it applies. */
export type Effect = { readonly ruleId: string } & (
  | { readonly kind: 'all' }
  | { readonly kind: 'ports'; readonly ports: readonly ProgramPorts[] }
  | { readonly kind: 'capability'; readonly texts: readonly string[] }
  | ({ readonly kind: 'ssh' } & SshEffect)
);

/** Id of the rule that a file without `acls` and `grants` amounts to. */
export const openRuleId = '/';

const everyone: Principals = {
  key: 'everyone',
  keys: [],
  literals: [],
  hasAny: true,
  hasDangerAll: false,
  postures: [],
};

interface TargetToken {
  /** The source token that it takes. */
  readonly source: number;
  readonly effect: Effect;
}

export class RuleTokens {
  readonly ofSources: readonly number[][];
  readonly ofTargets: readonly number[][];
  readonly #tailnet: Tailnet;
  readonly #atoms: Atoms;
  readonly #sourceTokens = new Map<string, number>();
  readonly #targetTokens: TargetToken[] = [];
  readonly #bySlot: { readonly sources: SourceAtom[][]; readonly targets: TargetAtom[][] };
  readonly #sortedTargets: readonly TargetAtom[];
  readonly #principals = new Map<string, readonly SourceAtom[]>();

  constructor(tailnet: Tailnet, atoms: Atoms) {
    this.#tailnet = tailnet;
    this.#atoms = atoms;
    this.ofSources = atoms.sources.map(() => []);
    this.ofTargets = atoms.targets.map(() => []);
    this.#bySlot = { sources: [], targets: [] };
    for (const atom of atoms.sources) {
      if (atom.slot !== undefined) (this.#bySlot.sources[atom.slot] ??= []).push(atom);
    }
    for (const atom of atoms.targets) (this.#bySlot.targets[atom.slot] ??= []).push(atom);
    this.#sortedTargets = [...atoms.targets].sort((a, b) => (a.addr.key < b.addr.key ? -1 : 1));
    this.#addRules();
    for (const rule of lowerSsh(tailnet.program).rules) this.#addSsh(rule);
  }

  /** Target tokens whose number the source holds, in file order. */
  matching(held: ReadonlySet<number>, target: readonly number[]): readonly number[] {
    const matched: number[] = [];
    if (held.size === 0) return matched;
    for (const token of target) {
      const wanted = this.#targetTokens[token];
      if (wanted !== undefined && held.has(wanted.source)) matched.push(token);
    }
    return matched;
  }

  effectOf(token: number): Effect {
    return present(this.#targetTokens[token], 'target token').effect;
  }

  /** The source token that a target token asks for. */
  wantedBy(token: number): number {
    return present(this.#targetTokens[token], 'target token').source;
  }

  rulesOfSource(tokens: readonly number[]): readonly string[] {
    const held = new Set(tokens);
    const ids = this.#targetTokens.flatMap(({ source, effect }) =>
      held.has(source) ? [effect.ruleId] : [],
    );
    return [...new Set(ids)];
  }

  rulesOfTarget(tokens: readonly number[]): readonly string[] {
    const ids = tokens.map(
      (token) => present(this.#targetTokens[token], 'target token').effect.ruleId,
    );
    return [...new Set(ids)];
  }

  #addRules(): void {
    const { rules } = this.#tailnet.program;
    if (rules === undefined) {
      const source = this.#giveSource(openRuleId, this.#sourcesOf(everyone));
      this.#giveTargets(source, { kind: 'all', ruleId: openRuleId }, this.#atoms.targets);
      return;
    }
    for (const rule of rules) this.#addRule(rule);
  }

  #addRule(rule: ProgramRule): void {
    const ruleId = rule.rule.id;
    const sources = this.#sourcesOf(rule.src);
    if (sources.length === 0) return;
    const plain = this.#giveSource(ruleId, sources);
    const own = rule.hasSelf && rule.via.size === 0 ? this.#giveOwners(ruleId, rule.src) : [];
    for (const target of rule.targets) {
      const effect: Effect = { kind: 'ports', ruleId, ports: target.ports };
      const reached = new Set(target.dst.flatMap((dst) => this.#targetsOf(dst, rule)));
      this.#giveTargets(plain, effect, reached);
      if (target.dst.some((dst) => dst.kind === 'self')) this.#giveOwnTargets(own, effect);
    }
    if (rule.capMap === undefined || rule.via.size > 0) return;
    const texts = Object.entries(rule.capMap).flatMap(([name, values]) =>
      values === null || values.length === 0
        ? [`${name} null`]
        : values.map((value) => `${name} ${canonicalText(value)}`),
    );
    const effect: Effect = { kind: 'capability', ruleId, texts };
    this.#giveTargets(
      plain,
      effect,
      new Set(rule.dst.flatMap((dst) => this.#capabilityTargets(dst))),
    );
    this.#giveOwnTargets(own, effect);
  }

  #addSsh({ rule, src, dst, hasSelf, hasOthers, domains }: SshProgramRule): void {
    const { index, resolver, program } = this.#tailnet;
    const nodes = resolver.nodesOf(src);
    const byDomains = new Map<string, number[]>();
    for (const slot of slotsOf(nodes)) {
      const ownerId = index.at(slot)?.ownerId;
      const login = ownerId === undefined ? undefined : program.directory.user(ownerId)?.login;
      const domain = login === undefined ? '' : domainOf(login);
      const key = domains.includes(domain) ? domain : '';
      byDomains.set(key, [...(byDomains.get(key) ?? []), slot]);
    }
    const reached = this.#ownAtomsOf(slotsOf(index.union(dst.keys)));
    for (const [domain, slots] of byDomains) {
      const base = {
        kind: 'ssh',
        ruleId: rule.id,
        action: rule.action,
        users: rule.users,
      } as const;
      const effect: Effect = { ...base, domains: domain === '' ? [] : [domain] };
      const id = `${rule.id} ${domain}`;
      const plain = this.#giveSource(
        id,
        slots.flatMap((slot) => this.#bySlot.sources[slot] ?? []),
      );
      this.#giveTargets(plain, effect, reached);
      if (hasSelf) this.#giveOwnTargets(this.#giveOwnersOf(id, slots), effect);
      if (hasOthers && domains.length > 0) this.#addSshToSources(id, slots, dst, effect);
    }
  }

  /** With a local part in the rule, each source that is no destination also lets its owner's machines in. */
  #addSshToSources(id: string, slots: readonly number[], dst: Principals, effect: Effect): void {
    const { index } = this.#tailnet;
    const reached = index.union(dst.keys);
    const receivers = slots.filter((slot) => !hasSlot(reached, slot));
    for (const [ownerId, source] of this.#giveOwnersOf(id, slots)) {
      const own = receivers.filter((slot) => index.at(slot)?.ownerId === ownerId);
      this.#giveTargets(source, effect, this.#ownAtomsOf(own));
    }
    for (const slot of receivers) {
      if (index.at(slot)?.ownerId !== undefined) continue;
      const source = this.#giveSource(`${id}#${slot}`, this.#bySlot.sources[slot] ?? []);
      this.#giveTargets(source, effect, this.#ownAtomsOf([slot]));
    }
  }

  #giveSource(id: string, atoms: readonly SourceAtom[]): number {
    const token = this.#sourceTokens.get(id) ?? this.#sourceTokens.size;
    this.#sourceTokens.set(id, token);
    for (const { id: at } of atoms) {
      const list = present(this.ofSources[at], 'tokens of a source');
      if (list.at(-1) !== token) list.push(token);
    }
    return token;
  }

  #giveTargets(source: number, effect: Effect, atoms: Iterable<TargetAtom>): void {
    const token = this.#targetTokens.length;
    this.#targetTokens.push({ source, effect });
    for (const { id } of atoms) present(this.ofTargets[id], 'tokens of a target').push(token);
  }

  /** One source token for each owner of machines among the sources. */
  #giveOwners(ruleId: string, src: Principals): readonly (readonly [string, number])[] {
    return this.#giveOwnersOf(ruleId, slotsOf(this.#tailnet.resolver.resolve(src).nodes));
  }

  #giveOwnersOf(id: string, slots: readonly number[]): readonly (readonly [string, number])[] {
    const byOwner = new Map<string, SourceAtom[]>();
    for (const slot of slots) {
      const ownerId = this.#tailnet.index.at(slot)?.ownerId;
      if (ownerId === undefined) continue;
      byOwner.set(ownerId, [
        ...(byOwner.get(ownerId) ?? []),
        ...(this.#bySlot.sources[slot] ?? []),
      ]);
    }
    return [...byOwner].map(([ownerId, atoms]) => [
      ownerId,
      this.#giveSource(`${id}@${ownerId}`, atoms),
    ]);
  }

  #giveOwnTargets(owners: readonly (readonly [string, number])[], effect: Effect): void {
    for (const [ownerId, source] of owners) {
      const slots = slotsOf(this.#tailnet.index.set(`user:${ownerId}`));
      this.#giveTargets(source, effect, this.#ownAtomsOf(slots));
    }
  }

  #ownAtomsOf(slots: Iterable<number>): readonly TargetAtom[] {
    return [...slots].flatMap((slot) =>
      (this.#bySlot.targets[slot] ?? []).filter((atom) => atom.isOwn),
    );
  }

  #sourcesOf(principals: Principals): readonly SourceAtom[] {
    const known = this.#principals.get(principals.key);
    if (known !== undefined) return known;
    const { index, resolver } = this.#tailnet;
    const resolved = resolver.resolve(principals);
    const isMember = (atom: SourceAtom): boolean => containsAddr(resolved, atom.addr, index);
    const isEveryone =
      principals.hasDangerAll || principals.literals.length > 0 || principals.hasAny;
    const atoms = isEveryone
      ? this.#atoms.sources.filter((atom) =>
          atom.slot !== undefined && hasSlot(resolved.nodes, atom.slot) ? true : isMember(atom),
        )
      : slotsOf(resolved.nodes).flatMap((slot) => this.#bySlot.sources[slot] ?? []);
    this.#principals.set(principals.key, atoms);
    return atoms;
  }

  /** Target atoms of a destination; those of `autogroup:self` depend on the source and are not among them. */
  #targetsOf(destination: Destination, rule: ProgramRule): readonly TargetAtom[] {
    if (rule.via.size > 0) return this.#viaTargets(destination, rule);
    const { index } = this.#tailnet;
    switch (destination.kind) {
      case 'any':
        return this.#atoms.targets;
      case 'nodes':
        return [
          ...this.#ownAtomsOf(slotsOf(index.union(destination.keys))),
          ...this.#routedTargets(destination.keys),
        ];
      case 'internet':
        return this.#atoms.targets.filter(
          ({ slot, addr }) => index.at(slot)?.isExitNode === true && internetSet.containsAddr(addr),
        );
      case 'literal':
        return this.#targetsIn(destination.set).filter(({ slot, addr }) => {
          const indexed = this.#node(slot);
          return destination.literals.some(
            (literal) =>
              literal.set.containsAddr(addr) && matchLiteral(literal, indexed) !== 'none',
          );
        });
      case 'self':
        return [];
      default:
        return unreachable(destination);
    }
  }

  #routedTargets(keys: readonly string[]): readonly TargetAtom[] {
    const { index } = this.#tailnet;
    return slotsOf(index.set('tailnet-router')).flatMap((slot) => {
      const texts = new Set(routedAddresses(this.#node(slot), keys, index));
      return (this.#bySlot.targets[slot] ?? []).filter(({ addr }) => texts.has(formatAddr(addr)));
    });
  }

  #viaTargets(destination: Destination, rule: ProgramRule): readonly TargetAtom[] {
    const { index } = this.#tailnet;
    return slotsOf(index.union([...rule.via])).flatMap((slot) => {
      const indexed = this.#node(slot);
      const atoms = this.#bySlot.targets[slot] ?? [];
      if (destination.kind === 'internet') {
        return indexed.isExitNode ? atoms.filter(({ addr }) => internetSet.containsAddr(addr)) : [];
      }
      if (destination.kind !== 'literal') return [];
      const routed = destination.literals.filter(({ set }) =>
        indexed.subnetRoutes.some((route) => set.overlapsPrefix(route)),
      );
      return atoms.filter(({ addr }) => routed.some(({ set }) => set.containsAddr(addr)));
    });
  }

  /**
   * Own addresses of nodes that a destination shows its capabilities on. A program asks WhoIs with the address of
   * the family of its caller.
   */
  #capabilityTargets(destination: Destination): readonly TargetAtom[] {
    const { index } = this.#tailnet;
    switch (destination.kind) {
      case 'any':
        return this.#ownAtomsOf(slotsOf(index.set('every')));
      case 'nodes':
        return this.#ownAtomsOf(slotsOf(index.union(destination.keys)));
      case 'literal':
        return this.#targetsIn(destination.set).filter(({ isOwn }) => isOwn);
      case 'internet':
      case 'self':
        return [];
      default:
        return unreachable(destination);
    }
  }

  /** Atoms whose address is in the set, by binary search. */
  #targetsIn(set: IpSet): readonly TargetAtom[] {
    return set.toRanges().flatMap(({ first, last }) => {
      const found: TargetAtom[] = [];
      for (let i = this.#lowerBound(first.key); i < this.#sortedTargets.length; i += 1) {
        const atom = this.#sortedTargets[i];
        if (atom === undefined || atom.addr.key > last.key) break;
        found.push(atom);
      }
      return found;
    });
  }

  #lowerBound(key: bigint): number {
    let low = 0;
    let high = this.#sortedTargets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sortedTargets[middle]?.addr.key ?? 0n) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #node(slot: number): IndexedNode {
    return present(this.#tailnet.index.at(slot), 'node of an atom');
  }
}

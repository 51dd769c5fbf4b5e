/** A policy with its names looked up: what stays the same while nodes come and go. */
import {
  emptyIpSet,
  formatAddr,
  formatPrefix,
  formatRange,
  type IpSet,
  IpSet as IpSets,
  ipSetOf,
  ipSetOfAddrs,
  ipSetOfPrefixes,
  isSingleAddr,
  maskedPrefix,
  type Prefix,
} from '../../base/netip/index.ts';
import { unreachable } from '../../base/assert.ts';
import { companionCapabilities } from '../file/capability.ts';
import { ipsetDepthMax } from '../file/limits.ts';
import type { NetworkRule, PolicyFile, RuleTarget } from '../file/model.ts';
import type { ProtocolPorts } from '../file/port.ts';
import type { Selector } from '../file/selector.ts';
import { Directory } from './directory.ts';
import type { Inventory } from './inventory.ts';
import { internetSet } from './ranges.ts';
import type { WireCapMap, WirePortRange } from './wire.ts';

/** Addresses written in the file, with the text in which the wire has them. */
export interface Literal {
  readonly text: string;
  readonly set: IpSet;
  readonly prefixes: readonly Prefix[];
}

/** A union of selectors. Equal `key`s resolve to equal addresses. */
export interface Principals {
  readonly key: string;
  /** Keys of node sets. */
  readonly keys: readonly string[];
  readonly literals: readonly Literal[];
  readonly hasAny: boolean;
  readonly hasDangerAll: boolean;
  /** Postures, one of which a device has to meet. */
  readonly postures: readonly string[];
}

export type Destination =
  | { readonly kind: 'any' }
  | { readonly kind: 'nodes'; readonly keys: readonly string[] }
  | { readonly kind: 'literal'; readonly literals: readonly Literal[]; readonly set: IpSet }
  | { readonly kind: 'internet' }
  | { readonly kind: 'self' };

export interface ProgramPorts {
  readonly protocol: number | undefined;
  readonly ports: readonly WirePortRange[];
  /** `IPProto` of the wire. */
  readonly protocols: readonly number[] | undefined;
}

export interface ProgramTarget {
  readonly dst: readonly Destination[];
  readonly ports: readonly ProgramPorts[];
}

export interface ProgramRule {
  readonly rule: NetworkRule;
  readonly src: Principals;
  readonly targets: readonly ProgramTarget[];
  /** Destinations of the capabilities: all of the rule. */
  readonly dst: readonly Destination[];
  readonly capMap: WireCapMap | undefined;
  /** Companion capability names that the sources get back. */
  readonly companions: readonly string[];
  /** Destinations as sources of the reversed companion rule. */
  readonly reversed: Principals;
  readonly via: ReadonlySet<string>;
  readonly hasSelf: boolean;
}

export interface Program {
  readonly file: PolicyFile;
  readonly directory: Directory;
  /** Rules that can have an effect: ACLs after grants, in file order. Undefined: everything is allowed. */
  readonly rules: readonly ProgramRule[] | undefined;
  /** Those whose capabilities have companions. */
  readonly companionRules: readonly ProgramRule[];
  readonly services: ReadonlyMap<string, readonly Literal[]>;
}

/** Looks up every name. Linear in the size of the file. */
export function lowerPolicy(file: PolicyFile, inventory: Inventory): Program {
  const directory = new Directory(inventory);
  const services = lowerServices(inventory);
  const lowering = new Lowering(file, directory, services);
  const isOpen = file.acls === undefined && file.grants === undefined;
  const rules = [...(file.grants ?? []), ...(file.acls ?? [])]
    .filter((rule) => rule.src.length > 0 && rule.dst.length > 0)
    .map((rule) => lowering.rule(rule));
  const companionRules = rules.filter(
    ({ companions, via }) => companions.length > 0 && via.size === 0,
  );
  return { file, directory, services, rules: isOpen ? undefined : rules, companionRules };
}

function lowerServices(inventory: Inventory): ReadonlyMap<string, readonly Literal[]> {
  const services = new Map<string, readonly Literal[]>();
  for (const [name, addrs] of inventory.services ?? []) {
    services.set(name, literalsOfSet(ipSetOfAddrs(addrs)));
  }
  return services;
}

/** One literal for each range, in canonical text. */
function literalsOfSet(set: IpSet): readonly Literal[] {
  return set.toRanges().map((range) => {
    const part = ipSetOf([range]);
    return { text: formatRange(range), set: part, prefixes: part.toPrefixes() };
  });
}

/** The literal of a prefix stays one prefix on the wire, whatever else it overlaps; a single address is bare. */
export function literalOfPrefix(written: Prefix): Literal {
  const prefix = maskedPrefix(written);
  const text = isSingleAddr(prefix) ? formatAddr(prefix.addr) : formatPrefix(prefix);
  return { text, set: ipSetOfPrefixes([prefix]), prefixes: [prefix] };
}

export class Lowering {
  readonly #file: PolicyFile;
  readonly #directory: Directory;
  readonly #services: ReadonlyMap<string, readonly Literal[]>;
  readonly #ipsets = new Map<string, IpSet>();

  constructor(
    file: PolicyFile,
    directory: Directory,
    services: ReadonlyMap<string, readonly Literal[]>,
  ) {
    this.#file = file;
    this.#directory = directory;
    this.#services = services;
  }

  rule(rule: NetworkRule): ProgramRule {
    const src = this.principals(rule.src, this.#posturesOf(rule));
    const targets = rule.targets.map((target) => this.#target(target));
    const dst = rule.dst.map((selector) => this.destination(selector));
    const hasApp = rule.app.length > 0;
    const companions = rule.app.flatMap(({ name }) => companionCapabilities.get(name) ?? []);
    return {
      rule,
      src,
      targets,
      dst,
      capMap: hasApp ? capMapOf(rule) : undefined,
      companions,
      reversed: this.principals(rule.dst, []),
      via: new Set(rule.via.map((tag) => tag.text)),
      hasSelf: dst.some((destination) => destination.kind === 'self'),
    };
  }

  #posturesOf(rule: NetworkRule): readonly string[] {
    return (rule.srcPosture ?? this.#file.defaultSrcPosture).map((name) => name.text);
  }

  #target(target: RuleTarget): ProgramTarget {
    return {
      dst: target.dst.map((selector) => this.destination(selector)),
      ports: target.ports.map((ports) => lowerPorts(ports)),
    };
  }

  principals(selectors: readonly Selector[], postures: readonly string[]): Principals {
    const keys = new Set<string>();
    const literals = new Map<string, Literal>();
    let hasAny = false;
    let hasDangerAll = false;
    for (const selector of selectors) {
      if (selector.kind === 'any') hasAny = true;
      if (selector.kind === 'autogroup' && selector.name === 'danger-all') hasDangerAll = true;
      for (const key of this.#directory.keysOf(selector, this.#file) ?? []) keys.add(key);
      for (const literal of this.literalsOf(selector)) literals.set(literal.text, literal);
    }
    const sortedKeys = [...keys].sort();
    const key = JSON.stringify([
      sortedKeys,
      [...literals.keys()].sort(),
      hasAny,
      hasDangerAll,
      postures,
    ]);
    return {
      key,
      keys: sortedKeys,
      literals: [...literals.values()],
      hasAny,
      hasDangerAll,
      postures,
    };
  }

  destination(selector: Selector): Destination {
    const keys = this.#directory.keysOf(selector, this.#file);
    if (keys !== undefined) return { kind: 'nodes', keys };
    if (selector.kind === 'any') return { kind: 'any' };
    if (selector.kind === 'autogroup' && selector.name === 'internet') return { kind: 'internet' };
    if (selector.kind === 'autogroup' && selector.name === 'self') return { kind: 'self' };
    const literals = this.literalsOf(selector);
    return { kind: 'literal', literals, set: IpSets.unionAll(literals.map(({ set }) => set)) };
  }

  /** Addresses that a selector writes down, by itself or by a name of the file. */
  literalsOf(selector: Selector): readonly Literal[] {
    switch (selector.kind) {
      case 'prefix':
        return [literalOfPrefix(selector.prefix)];
      case 'host': {
        const host = this.#file.hosts.get(selector.name);
        return host === undefined ? [] : [literalOfPrefix(host.prefix)];
      }
      case 'ipset':
        return literalsOfSet(this.ipset(selector.name, 0));
      case 'service':
        return this.#services.get(selector.name) ?? [];
      case 'any':
      case 'autogroup':
      case 'domain':
      case 'group':
      case 'tag':
      case 'user':
        return [];
    }
  }

  /** The addresses of an ipset: its steps in order. A circle, which the file reader refuses, adds nothing. */
  ipset(name: string, depth: number): IpSet {
    const known = this.#ipsets.get(name);
    if (known !== undefined) return known;
    let set = emptyIpSet;
    // Known as empty while it is worked out, so that a circle ends.
    this.#ipsets.set(name, set);
    if (depth <= ipsetDepthMax) {
      for (const { verb, target } of this.#file.ipsets.get(name)?.steps ?? []) {
        const part = this.#ipsetTarget(target, depth);
        set = verb === 'add' ? set.union(part) : set.subtract(part);
      }
    }
    this.#ipsets.set(name, set);
    return set;
  }

  #ipsetTarget(
    target: NonNullable<ReturnType<PolicyFile['ipsets']['get']>>['steps'][number]['target'],
    depth: number,
  ): IpSet {
    switch (target.kind) {
      case 'range':
        return ipSetOf([target.range]);
      case 'host': {
        const host = this.#file.hosts.get(target.name);
        return host === undefined ? emptyIpSet : ipSetOfPrefixes([host.prefix]);
      }
      case 'ipset':
        return this.ipset(target.name, depth + 1);
      case 'internet':
        return internetSet;
      default:
        return unreachable(target);
    }
  }
}

function lowerPorts({ protocol, ports }: ProtocolPorts): ProgramPorts {
  return {
    protocol,
    ports: ports.map(({ first, last }) => ({ First: first, Last: last })),
    protocols: protocol === undefined ? undefined : [protocol],
  };
}

function capMapOf(rule: NetworkRule): WireCapMap {
  return Object.fromEntries(
    rule.app.map(({ name, values }) => [name, values.map(({ value }) => value)]),
  );
}

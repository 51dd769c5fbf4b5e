/** The capability objects of a policy, found by who asks. */
import { type Addr, parseAddr } from '../../base/netip/index.ts';
import type { Principal } from '../../identity/index.ts';
import { Directory } from '../compile/directory.ts';
import type { Inventory } from '../compile/inventory.ts';
import { meetsAnyPosture, type PostureAttributes } from '../compile/posture.ts';
import { type Literal, Lowering } from '../compile/program.ts';
import type { NetworkRule, PolicyFile } from '../file/model.ts';
import type { Selector } from '../file/selector.ts';
import { CallerAccess } from './caller-access.ts';
import { entriesOfFile, type Entry, type EntryProblem } from './entry.ts';

/** Where the question is asked: a grant's `dst` has to name it. */
export interface AccessPoint {
  /** Selectors that the gateway itself satisfies: `tag:gateway`, a login, a service. */
  readonly selectors: readonly string[];
  readonly addresses: readonly Addr[];
}

export interface AccessOptions {
  /** Names the policy in decision ids: a short hash of its text. */
  readonly revision: string;
  /** Undefined where there is no network and so only this gateway: then every `dst` means it. */
  readonly point: AccessPoint | undefined;
  /** For addresses of services and groups of an identity provider. */
  readonly inventory?: Inventory;
}

/** Callers whose entries are kept ready. */
const rememberedCallersMax = 10_000;

interface Remembered {
  readonly posture: PostureAttributes | undefined;
  readonly access: CallerAccess;
}

const nobody: Inventory = { users: [], nodes: [] };

interface AddressSource {
  readonly literals: readonly Literal[];
  readonly rule: NetworkRule;
}

export class AccessIndex {
  readonly revision: string;
  readonly problems: readonly EntryProblem[];
  readonly #file: PolicyFile;
  readonly #byRule = new Map<NetworkRule, Entry[]>();
  readonly #bySelector = new Map<string, NetworkRule[]>();
  /** Rules whose source is every machine of the network. */
  readonly #forNetwork: NetworkRule[] = [];
  readonly #byAddress: AddressSource[] = [];
  readonly #byId = new Map<string, Entry>();
  readonly #remembered = new Map<string, CallerAccess>();
  readonly #ofObject = new WeakMap<Principal, Remembered>();

  constructor(file: PolicyFile, { revision, point, inventory = nobody }: AccessOptions) {
    this.revision = revision;
    this.#file = file;
    const { entries, problems } = entriesOfFile(file);
    this.problems = problems;
    const lowering = new Lowering(file, new Directory(inventory), new Map());
    for (const entry of entries) {
      this.#byId.set(entry.id, entry);
      const { rule } = entry;
      if (rule === undefined || !coversPoint(rule, point, lowering)) continue;
      const known = this.#byRule.get(rule);
      if (known !== undefined) {
        known.push(entry);
        continue;
      }
      this.#byRule.set(rule, [entry]);
      this.#addSources(rule, lowering);
    }
  }

  /**
   * What a caller may do. `posture` are the attributes of its device; without them a rule with a posture does not
   * hold. Callers from outside the network match only selectors that the configuration gave them.
   */
  accessOf(principal: Principal, posture?: PostureAttributes): CallerAccess {
    // An authenticator hands out the same object for the same caller; then no key has to be built.
    const last = this.#ofObject.get(principal);
    if (last !== undefined && last.posture === posture) return last.access;
    const access = this.#accessOf(principal, posture);
    this.#ofObject.set(principal, { posture, access });
    return access;
  }

  #accessOf(principal: Principal, posture: PostureAttributes | undefined): CallerAccess {
    const key = callerKey(principal, posture);
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const access = new CallerAccess(this.revision, this.#entriesOf(principal, posture));
    if (this.#remembered.size >= rememberedCallersMax) this.#remembered.clear();
    this.#remembered.set(key, access);
    return access;
  }

  /** The entry that a decision names, for an explanation; undefined for a denial or another revision. */
  entryOf(decisionId: string): Entry | undefined {
    const prefix = `${this.revision}:`;
    return decisionId.startsWith(prefix)
      ? this.#byId.get(decisionId.slice(prefix.length))
      : undefined;
  }

  #addSources(rule: NetworkRule, lowering: Lowering): void {
    const literals: Literal[] = [];
    for (const selector of rule.src) {
      const key = sourceKey(selector);
      if (key === undefined) this.#forNetwork.push(rule);
      else push(this.#bySelector, key, rule);
      literals.push(...lowering.literalsOf(selector));
    }
    if (literals.length > 0) this.#byAddress.push({ literals, rule });
  }

  #entriesOf(principal: Principal, posture: PostureAttributes | undefined): readonly Entry[] {
    const rules = new Set<NetworkRule>();
    for (const selector of principal.selectors) {
      for (const rule of this.#bySelector.get(canonicalSelector(selector)) ?? []) rules.add(rule);
    }
    if (principal.authority === 'tailnet') this.#addNetworkRules(principal, rules);
    return [...rules]
      .filter((rule) => this.#meetsPosture(rule, posture))
      .sort((a, b) => a.index - b.index)
      .flatMap((rule) => this.#byRule.get(rule) ?? []);
  }

  #addNetworkRules(principal: Principal, rules: Set<NetworkRule>): void {
    for (const rule of this.#forNetwork) rules.add(rule);
    const addrs = (principal.addresses ?? []).flatMap((text) => {
      const addr = parseAddr(text);
      return addr.ok ? [addr.value] : [];
    });
    if (addrs.length === 0) return;
    for (const { literals, rule } of this.#byAddress) {
      if (literals.some(({ set }) => addrs.some((addr) => set.containsAddr(addr)))) rules.add(rule);
    }
  }

  #meetsPosture(rule: NetworkRule, posture: PostureAttributes | undefined): boolean {
    const names = (rule.srcPosture ?? this.#file.defaultSrcPosture).map(({ text }) => text);
    if (names.length === 0) return true;
    return posture !== undefined && meetsAnyPosture(names, this.#file, posture);
  }
}

/** The text under which a source is looked up; undefined for `*` and `autogroup:danger-all`. */
function sourceKey(selector: Selector): string | undefined {
  if (selector.kind === 'any') return undefined;
  if (selector.kind === 'autogroup' && selector.name === 'danger-all') return undefined;
  return canonicalSelector(selector.text);
}

/** Logins compare without case; `autogroup:members` is the former name of `autogroup:member`. */
function canonicalSelector(text: string): string {
  if (text === 'autogroup:members') return 'autogroup:member';
  return text.includes('@') ? text.toLowerCase() : text;
}

function push(map: Map<string, NetworkRule[]>, key: string, rule: NetworkRule): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [rule]);
  else list.push(rule);
}

function coversPoint(
  rule: NetworkRule,
  point: AccessPoint | undefined,
  lowering: Lowering,
): boolean {
  if (rule.src.length === 0 || rule.dst.length === 0) return false;
  // A grant with `via` is about the way through a router: compiled filters carry no capability of it, so neither do we.
  if (rule.via.length > 0) return false;
  if (point === undefined) return true;
  const selectors = new Set(point.selectors.map((text) => canonicalSelector(text)));
  return rule.dst.some(
    (selector) =>
      selector.kind === 'any' ||
      selectors.has(canonicalSelector(selector.text)) ||
      lowering
        .literalsOf(selector)
        .some(({ set }) => point.addresses.some((addr) => set.containsAddr(addr))),
  );
}

function callerKey(principal: Principal, posture: PostureAttributes | undefined): string {
  const { authority, selectors, addresses = [] } = principal;
  const attributes =
    posture === undefined ? null : [...posture].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([authority, selectors, addresses, attributes]);
}

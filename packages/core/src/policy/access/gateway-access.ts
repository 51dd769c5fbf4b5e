/** Callers of the gateway before the index: what a login means under this policy. */
import { formatAddr } from '../../base/netip/index.ts';
import type { Principal } from '../../identity/index.ts';
import { principalKey } from '../../identity/index.ts';
import { selectorsOf } from '../compile/identity.ts';
import type { Inventory } from '../compile/inventory.ts';
import type { PostureAttributes } from '../compile/posture.ts';
import { lowerPolicy, type Program } from '../compile/program.ts';
import type { PolicyFile } from '../file/model.ts';
import { AccessIndex, type AccessOptions, type AccessPoint } from './access-index.ts';
import type { CallerAccess } from './caller-access.ts';

/** Callers whose access is kept ready, for authenticators that make a new object for each request. */
const rememberedMax = 10_000;

const gatewayTag = 'tag:gateway';

/**
 * Where the gateway stands on a network: its machines are those with `tag:gateway`, and a grant has to name one of
 * them, as the filters of the network itself see it. Undefined while none has joined.
 */
function gatewayPoint({ nodes }: Inventory): AccessPoint | undefined {
  const machines = nodes.filter(({ tags }) => tags.includes(gatewayTag));
  if (machines.length === 0) return undefined;
  return {
    selectors: [...new Set(machines.flatMap(({ tags }) => tags))],
    addresses: machines.flatMap(({ addresses }) => addresses),
  };
}

/**
 * The policy as the gateway asks it. An authority says who somebody is (`alice@example.com`, `tag:ci`); which groups
 * that login is in, only the policy says. Built once for each policy and inventory.
 */
export class GatewayAccess {
  readonly index: AccessIndex;
  readonly #program: Program;
  readonly #postures: ReadonlyMap<string, PostureAttributes>;
  readonly #ofObject = new WeakMap<Principal, CallerAccess>();
  readonly #remembered = new Map<string, CallerAccess>();
  readonly #selectors = new WeakMap<Principal, readonly string[]>();

  constructor(file: PolicyFile, options: AccessOptions) {
    const inventory: Inventory = options.inventory ?? { users: [], nodes: [] };
    const point = options.point ?? gatewayPoint(inventory);
    this.index = new AccessIndex(file, { ...options, point });
    this.#program = lowerPolicy(file, inventory);
    this.#postures = new Map(
      inventory.nodes.flatMap(({ addresses, postureAttributes }) =>
        addresses.map((addr) => [formatAddr(addr), postureAttributes] as const),
      ),
    );
  }

  accessOf(principal: Principal): CallerAccess {
    const known = this.#ofObject.get(principal);
    if (known !== undefined) return known;
    const key = `${principalKey(principal)} ${JSON.stringify([principal.selectors, principal.addresses])}`;
    const access = this.#remembered.get(key) ?? this.#accessOf(principal);
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
    this.#remembered.set(key, access);
    this.#ofObject.set(principal, access);
    return access;
  }

  /** Every selector of the policy that a principal satisfies; for the same principal the same list. */
  selectorsOf(principal: Principal): readonly string[] {
    const known = this.#selectors.get(principal);
    if (known !== undefined) return known;
    const selectors = this.#selectorsOf(principal);
    this.#selectors.set(principal, selectors);
    return selectors;
  }

  #selectorsOf(principal: Principal): readonly string[] {
    const selectors = new Set(principal.selectors);
    for (const selector of principal.selectors) {
      if (!isLogin(selector)) continue;
      for (const each of selectorsOf(this.#program, { kind: 'user', login: selector })) {
        selectors.add(each);
      }
    }
    const isMachine = principal.authority === 'tailnet';
    if (isMachine && principal.selectors.some((each) => each.startsWith('tag:'))) {
      selectors.add('autogroup:tagged');
    }
    return [...selectors];
  }

  #accessOf(principal: Principal): CallerAccess {
    const address = principal.addresses?.find((each) => this.#postures.has(each));
    const posture = address === undefined ? undefined : this.#postures.get(address);
    const expanded = { ...principal, selectors: this.selectorsOf(principal) };
    return this.index.accessOf(expanded, posture);
  }
}

function isLogin(selector: string): boolean {
  return selector.includes('@') && !/^(?:group|tag|autogroup|user):/.test(selector);
}

import type { Machine } from './machine.ts';
import { isExitText, servedRoutesOf } from './machine.ts';

interface Offer {
  readonly subnets: readonly string[];
  readonly exits: readonly string[];
}

const nothing: Offer = { subnets: [], exits: [] };

/**
 * Which machine is the router of each subnet: of those that serve it, one that is there, and among these the one that
 * has been a node for the longest. Exit routes are every exit node's own.
 */
export class RouteTable {
  readonly #offers = new Map<Machine, Offer>();
  readonly #routers = new Map<string, Set<Machine>>();
  readonly #primaries = new Map<string, Machine>();

  /** After a change of a machine; returns the slots of those whose routes changed by it. */
  put(machine: Machine): ReadonlySet<number> {
    const before = this.#offers.get(machine) ?? nothing;
    const served = machine.isActive ? servedRoutesOf(machine) : [];
    const after: Offer =
      served.length === 0
        ? nothing
        : {
            subnets: served.filter((route) => !isExitText(route)),
            exits: served.filter(isExitText),
          };
    if (before === nothing && after === nothing) return new Set();
    if (after === nothing) this.#offers.delete(machine);
    else this.#offers.set(machine, after);
    const changed = new Set<number>();
    for (const route of new Set([...before.subnets, ...after.subnets])) {
      this.#settle(route, machine, after.subnets.includes(route), changed);
    }
    if (before.exits.join() !== after.exits.join()) changed.add(machine.slot);
    return changed;
  }

  routesOf(machine: Machine): {
    readonly primaryRoutes: readonly string[];
    readonly exitRoutes: readonly string[];
  } {
    const { subnets, exits } = this.#offers.get(machine) ?? nothing;
    return {
      primaryRoutes: subnets.filter((route) => this.#primaries.get(route) === machine),
      exitRoutes: exits,
    };
  }

  #settle(route: string, machine: Machine, serves: boolean, changed: Set<number>): void {
    const routers = this.#routers.get(route) ?? new Set<Machine>();
    if (serves) routers.add(machine);
    else routers.delete(machine);
    if (routers.size === 0) this.#routers.delete(route);
    else this.#routers.set(route, routers);
    const before = this.#primaries.get(route);
    const after = [...routers].toSorted(byPresence)[0];
    if (before === after) return;
    if (after === undefined) this.#primaries.delete(route);
    else this.#primaries.set(route, after);
    if (before !== undefined) changed.add(before.slot);
    if (after !== undefined) changed.add(after.slot);
  }
}

function byPresence(a: Machine, b: Machine): number {
  if (a.online !== b.online) return a.online ? -1 : 1;
  return a.record.number - b.record.number;
}

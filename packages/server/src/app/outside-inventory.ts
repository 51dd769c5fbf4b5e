import { parseAddr, parsePrefix } from '@postern/core/base/netip';
import type { Inventory } from '@postern/core/policy';
import type { OperationContext } from '../control/api/index.ts';
import type { Device, EngineUser, NetworkEngine } from '../control/engine/index.ts';

/** How old the machines of another engine may be that reasoning goes by: people and agents ask several questions in a row. */
const freshMs = 5_000;

/**
 * What operations work on, with the machines of an engine that others run: this process knows none of them by itself, so they
 * are asked for before a question about the policy, which can then be asked by their names.
 */
export function withMachines(context: OperationContext): () => Promise<OperationContext> {
  const { policy } = context;
  const { ports } = policy.tools;
  let known: { readonly inventory: Inventory; readonly atMs: number } | undefined;
  const informed: OperationContext = {
    ...context,
    policy: {
      ...policy,
      tools: {
        ...policy.tools,
        ports: { ...ports, inventory: () => known?.inventory ?? ports.inventory() },
      },
    },
  };
  return async () => {
    const engine = context.outside?.()?.engine;
    if (engine === undefined) return context;
    const nowMs = context.control.system.nowMs();
    if (known === undefined || nowMs - known.atMs >= freshMs) {
      const inventory = await inventoryOf(engine);
      // An engine that is away changes nothing about what is known; without anything known, the policy alone counts.
      if (inventory !== undefined) known = { inventory, atMs: nowMs };
    }
    return informed;
  };
}

async function inventoryOf(engine: NetworkEngine): Promise<Inventory | undefined> {
  const [devices, users] = await Promise.all([engine.listDevices(), engine.listUsers()]);
  if (!devices.ok) return undefined;
  const listed = users.ok ? users.value : [];
  const known = new Set(listed.map(({ login }) => login.toLowerCase()));
  const owners = devices.value.flatMap(({ user }) => user ?? []);
  const others = new Set(owners.filter((login) => !known.has(login.toLowerCase())));
  return {
    users: [
      ...listed.map(userOf),
      ...[...others].map((login) => ({ id: login.toLowerCase(), login, roles: [] })),
    ],
    nodes: devices.value.map(nodeOf),
  };
}

/** Logins are what both lists have in common. */
function userOf({ login, role }: EngineUser): Inventory['users'][number] {
  return { id: login.toLowerCase(), login, roles: role === undefined ? [] : [role] };
}

function nodeOf(device: Device): Inventory['nodes'][number] {
  const prefixes = (texts: readonly string[]) =>
    texts.flatMap((text) => {
      const prefix = parsePrefix(text);
      return prefix.ok ? [prefix.value] : [];
    });
  return {
    id: device.id,
    hostname: device.name,
    addresses: device.addresses.flatMap((text) => {
      const address = parseAddr(text);
      return address.ok ? [address.value] : [];
    }),
    userId: device.tags.length > 0 ? undefined : device.user?.toLowerCase(),
    tags: device.tags,
    advertisedRoutes: prefixes(device.advertisedRoutes),
    approvedRoutes: prefixes(device.enabledRoutes),
    postureAttributes: new Map(),
  };
}

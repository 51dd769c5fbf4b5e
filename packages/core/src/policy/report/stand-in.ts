/** People and machines to ask about where there is no network yet: one for each kind that the files name. */
import { domainOf } from '../compile/directory.ts';
import type { Inventory } from '../compile/inventory.ts';
import type { PolicyFile } from '../file/model.ts';
import { worldOf } from '../reason/index.ts';

/** The inventory itself where it has machines; else stand-ins, so that tests and questions have somebody to be about. */
export function standInInventory(inventory: Inventory, files: readonly PolicyFile[]): Inventory {
  if (inventory.nodes.length > 0) return inventory;
  const world = worldOf(inventory, files);
  const isOwn = new Set(inventory.users.map(({ id }) => id));
  const renamed = (id: string): string => (isOwn.has(id) ? id : `stand-in:${id}`);
  const users = world.inventory.users.map((user) => ({ ...user, id: renamed(user.id) }));
  const nodes = world.inventory.nodes
    .filter(({ id }) => !world.sourcesOnly.has(id))
    .map((node, i) => ({
      ...node,
      id: `stand-in:${i}`,
      hostname: world.archetypes.get(node.id) ?? node.hostname,
      userId: node.userId === undefined ? undefined : renamed(node.userId),
    }));
  const members = users.filter((user) => user.isShared !== true);
  const domains = inventory.domains ?? [...new Set(members.map(({ login }) => domainOf(login)))];
  return { ...world.inventory, users, nodes, domains };
}

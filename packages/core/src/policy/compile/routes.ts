/** Routes that the policy approves by itself. Approval is not retroactive: it is asked when a node advertises. */
import { isExitRoute, type Prefix, prefixCovers } from '../../base/netip/index.ts';
import type { Selector } from '../file/selector.ts';
import type { InventoryNode } from './inventory.ts';
import type { Program } from './program.ts';

/** The advertised routes with an approver that the node satisfies. Exit routes only through `exitNode`. */
export function approvableRoutes(program: Program, node: InventoryNode): readonly Prefix[] {
  const { autoApprovers } = program.file;
  return node.advertisedRoutes.filter((route) => {
    if (isExitRoute(route)) return isApprover(program, autoApprovers.exitNode, node);
    return autoApprovers.routes.some(
      ({ prefix, approvers }) =>
        prefixCovers(prefix, route) && isApprover(program, approvers, node),
    );
  });
}

function isApprover(
  program: Program,
  approvers: readonly Selector[],
  node: InventoryNode,
): boolean {
  const keys = new Set(keysOf(program, node));
  return approvers.some((approver) =>
    (program.directory.keysOf(approver, program.file) ?? []).some((key) => keys.has(key)),
  );
}

function keysOf(program: Program, node: InventoryNode): readonly string[] {
  if (node.tags.length > 0) return ['tagged', ...node.tags];
  if (node.userId === undefined) return [];
  const isShared = program.directory.isShared(node.userId);
  return [`user:${node.userId}`, isShared ? 'shared' : 'member'];
}

import type { Prefix } from '@postern/core/base/netip';
import { isExitRoute, parseAddr, parsePrefix } from '@postern/core/base/netip';
import type { InventoryNode } from '@postern/core/policy';
import type { NetworkNode } from '@postern/core/state';
import { isNodeExpired } from '@postern/core/state';
import { postureOf } from '../protocol/hostinfo.ts';
import type { Report } from './reports.ts';
import { emptyHostinfo } from './reports.ts';

/** A machine as the network map sees it: what was decided, what it reported, whether it is there. */
export interface Machine {
  /** Dense number inside this process, used again after a machine is gone. */
  readonly slot: number;
  record: NetworkNode;
  report: Report | undefined;
  /** Approved and its key alive: nobody is told of any other. */
  isActive: boolean;
  online: boolean;
  /** Since when no stream is open; undefined while one is. */
  awaySinceMs: number | undefined;
  /** What peers are told, until it changes. */
  peerText: string | undefined;
}

/** Owner of every tagged machine, as clients know it. */
export const taggedUserNumber = 2_147_455_555;

export function isActiveNode(record: NetworkNode, nowMs: number): boolean {
  return record.approved && !isNodeExpired(record, nowMs);
}

export function inventoryNodeOf({ record, report }: Machine): InventoryNode {
  const info = report?.hostinfo ?? emptyHostinfo;
  return {
    id: record.id,
    hostname: record.name,
    addresses: record.addresses.flatMap((text) => {
      const parsed = parseAddr(text);
      return parsed.ok ? [parsed.value] : [];
    }),
    userId: record.tags.length > 0 ? undefined : record.userId,
    tags: record.tags,
    advertisedRoutes: prefixesOf(info.routes),
    approvedRoutes: prefixesOf(record.approvedRoutes),
    postureAttributes: postureOf(info),
  };
}

export function prefixesOf(texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((text) => {
    const parsed = parsePrefix(text);
    return parsed.ok ? [parsed.value] : [];
  });
}

/** Routes that a machine both offers and may serve. */
export function servedRoutesOf({ record, report }: Machine): readonly string[] {
  const offered = new Set(report?.hostinfo.routes ?? []);
  return record.approvedRoutes.filter((route) => offered.has(route));
}

export function isExitText(route: string): boolean {
  const parsed = parsePrefix(route);
  return parsed.ok && isExitRoute(parsed.value);
}

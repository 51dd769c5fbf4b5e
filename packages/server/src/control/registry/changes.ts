import type { Instance, Roster } from '@postern/core/registry';
import type { RegistryState } from '@postern/core/state';
import { rosterOf } from '@postern/core/state';

export interface InstanceChange {
  readonly kind: 'joined' | 'updated' | 'left';
  readonly instance: Instance;
}

/** What is different between two states, by type. Types that did not change cost one comparison. */
export function changesBetween(before: RegistryState, after: RegistryState): InstanceChange[] {
  const types =
    before.types === after.types ? after.types : new Set([...before.types, ...after.types]);
  const changes: InstanceChange[] = [];
  for (const type of types) {
    const [old, now] = [rosterOf(before, type), rosterOf(after, type)];
    if (old !== now) changes.push(...changesOfRoster(old, now));
  }
  return changes;
}

/** Both are in the order of ids. */
function changesOfRoster(old: Roster, now: Roster): InstanceChange[] {
  const changes: InstanceChange[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [old[i], now[j]];
    if (a === undefined && b === undefined) return changes;
    if (b === undefined || (a !== undefined && a.uuid < b.uuid)) {
      if (a !== undefined) changes.push({ kind: 'left', instance: a });
      i += 1;
    } else if (a === undefined || b.uuid < a.uuid) {
      changes.push({ kind: 'joined', instance: b });
      j += 1;
    } else {
      if (a !== b) changes.push({ kind: 'updated', instance: b });
      i += 1;
      j += 1;
    }
  }
}

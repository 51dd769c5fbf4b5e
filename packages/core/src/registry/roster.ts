import type { Instance } from './instance.ts';

/** The members of one type in the order of their ids (UTF-16 units). Immutable. */
export type Roster = readonly Instance[];

/** The place of an id in a roster, or where it would stand. */
function placeOf(roster: Roster, uuid: string): number {
  let [low, high] = [0, roster.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = roster[middle];
    if (at !== undefined && at.uuid < uuid) low = middle + 1;
    else high = middle;
  }
  return low;
}

export function withMember(roster: Roster, instance: Instance): Roster {
  const at = placeOf(roster, instance.uuid);
  const taken = roster[at]?.uuid === instance.uuid ? 1 : 0;
  return roster.toSpliced(at, taken, instance);
}

export function withoutMember(roster: Roster, uuid: string): Roster {
  const at = placeOf(roster, uuid);
  return roster[at]?.uuid === uuid ? roster.toSpliced(at, 1) : roster;
}

export interface RosterPage {
  readonly members: Roster;
  /** The id after which the next page begins; absent: this was the last. */
  readonly next?: string;
}

export interface PageQuery {
  /** Only ids after this one; whether it is (still) there does not matter. */
  readonly after?: string | undefined;
  readonly limit: number;
}

/** Up to `limit` members after an id for which `isWanted` holds. */
export function pageOfRoster(
  roster: Roster,
  { after, limit }: PageQuery,
  isWanted: (instance: Instance) => boolean,
): RosterPage {
  const members: Instance[] = [];
  let at = after === undefined ? 0 : placeOf(roster, after);
  if (after !== undefined && roster[at]?.uuid === after) at += 1;
  for (; at < roster.length; at += 1) {
    const each = roster[at];
    if (each === undefined || !isWanted(each)) continue;
    const last = members.at(-1);
    if (members.length === limit && last !== undefined) return { members, next: last.uuid };
    members.push(each);
  }
  return { members };
}

import type { Machine } from './machine.ts';

/** What has happened since the machines were last told. Slots of machines. */
export class Changes {
  /** Their own entry must be sent whole. */
  readonly whole = new Set<number>();
  /** Endpoints, relay or disco key. */
  readonly patched = new Set<number>();
  readonly online = new Set<number>();
  /** Whom they know, or what they let in, may have changed. */
  readonly relations = new Set<number>();
  readonly removed: Machine[] = [];
  /** Another policy or other people: look at everybody. */
  everything = false;
  dns = false;
  derp = false;

  get isEmpty(): boolean {
    const { whole, patched, online, relations, removed, everything, dns, derp } = this;
    const counts = [whole.size, patched.size, online.size, relations.size, removed.length];
    return !everything && !dns && !derp && counts.every((count) => count === 0);
  }
}

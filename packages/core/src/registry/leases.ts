import type { Instance } from './instance.ts';

/** When an instance was last heard of. */
export interface Lease {
  readonly uuid: string;
  readonly renewedAtMs: number;
}

/** Changed in place: thousands of heartbeats a second leave nothing behind for the collector. */
interface Renewal {
  atMs: number;
}

/** What leases are judged by. */
type Leased = Pick<Instance, 'uuid' | 'leaseMs'>;

/**
 * Who is alive. Instances whose lease nobody has heard of are given one from the first time that they are looked at:
 * after a restart, or in a process that begins to lead, nobody is dead for that alone.
 */
export class Leases {
  readonly #renewals = new Map<string, Renewal>();

  get size(): number {
    return this.#renewals.size;
  }

  /** A heartbeat. Time does not go back: an older one changes nothing. */
  renew(uuid: string, nowMs: number): void {
    const renewal = this.#renewals.get(uuid);
    if (renewal === undefined) this.#begin(uuid, nowMs);
    else if (nowMs > renewal.atMs) renewal.atMs = nowMs;
  }

  forget(uuid: string): void {
    this.#renewals.delete(uuid);
  }

  /** Nobody was heard of. */
  clear(): void {
    this.#renewals.clear();
  }

  renewedAtMs(uuid: string): number | undefined {
    return this.#renewals.get(uuid)?.atMs;
  }

  /** The first millisecond at which the instance does not count any more. */
  endsAtMs({ uuid, leaseMs }: Leased, nowMs: number): number {
    const { atMs } = this.#renewals.get(uuid) ?? this.#begin(uuid, nowMs);
    return atMs + leaseMs;
  }

  isLive(instance: Leased, nowMs: number): boolean {
    return this.endsAtMs(instance, nowMs) > nowMs;
  }

  /**
   * Takes over what was written before a restart. Whoever was alive when the last heartbeat was written gets a whole
   * lease from now: it could not be heard in between. Whoever was dead then stays so.
   */
  restore(
    written: readonly Lease[],
    leaseMsOf: (uuid: string) => number | undefined,
    nowMs: number,
  ): void {
    const lastAtMs = written.reduce((last, { renewedAtMs }) => Math.max(last, renewedAtMs), 0);
    for (const { uuid, renewedAtMs } of written) {
      const leaseMs = leaseMsOf(uuid);
      if (leaseMs === undefined) continue;
      this.renew(uuid, renewedAtMs + leaseMs > lastAtMs ? nowMs : renewedAtMs);
    }
  }

  #begin(uuid: string, atMs: number): Renewal {
    const renewal: Renewal = { atMs };
    this.#renewals.set(uuid, renewal);
    return renewal;
  }
}

import type { Instance } from './instance.ts';

/** When an instance was last heard of. */
export interface Lease {
  readonly uuid: string;
  readonly renewedAtMs: number;
}

/** What leases are judged by. */
type Leased = Pick<Instance, 'uuid' | 'leaseMs'>;

/**
 * Who is alive. Instances whose lease nobody has heard of are given one from the first time that they are looked at:
 * after a restart, or in a process that begins to lead, nobody is dead for that alone.
 */
export class Leases {
  readonly #renewedAtMs = new Map<string, number>();

  get size(): number {
    return this.#renewedAtMs.size;
  }

  /** A heartbeat. Time does not go back: an older one changes nothing. */
  renew(uuid: string, nowMs: number): void {
    if (nowMs > (this.#renewedAtMs.get(uuid) ?? -1)) this.#renewedAtMs.set(uuid, nowMs);
  }

  forget(uuid: string): void {
    this.#renewedAtMs.delete(uuid);
  }

  /** Nobody was heard of. */
  clear(): void {
    this.#renewedAtMs.clear();
  }

  renewedAtMs(uuid: string): number | undefined {
    return this.#renewedAtMs.get(uuid);
  }

  /** The first millisecond at which the instance does not count any more. */
  endsAtMs({ uuid, leaseMs }: Leased, nowMs: number): number {
    let renewedAtMs = this.#renewedAtMs.get(uuid);
    if (renewedAtMs === undefined) {
      renewedAtMs = nowMs;
      this.#renewedAtMs.set(uuid, nowMs);
    }
    return renewedAtMs + leaseMs;
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
}

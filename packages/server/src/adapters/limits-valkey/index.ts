/**
 * @module Rates and slots of several gateways, in one Valkey (or Redis 6 or later).
 *
 * Promises: a request is counted by one script, all of its limits or none, by the server's clock: side by side on any number of processes, room
 * for k admits k; the slots of a process that died lapse within `slotLeaseMs`, a live one renews them; while the server is away every
 * question is refused at once, and it is used again as soon as it is back. Refuses: keeping money; a cluster of several
 * shards (all keys have one hash tag). Limits: `valkeyLimits`; what the server loses with its memory is a minute's counts.
 */
import type { Result, Secret } from '@postern/core/base';
import { ChurnMap, ok } from '@postern/core/base';
import type { BankFailure } from '../../gateway/money/bank.ts';
import type {
  LimitAnswer,
  LimitAsk,
  LimitStore,
  RateAsk,
  RateCorrection,
  RateRoom,
  SlotAsk,
} from '../../gateway/money/limit-store.ts';
import { slotLeaseMs } from '../../gateway/money/limit-store.ts';
import { Connection, scriptOf } from './connection.ts';
import { valkeyLimits } from './limits.ts';
import { lookScript, renewScript, settleScript, takeScript } from './scripts.ts';

export { valkeyLimits } from './limits.ts';

export interface ValkeyLimitsOptions {
  /** `redis://` or `rediss://`, with its password. */
  readonly url: Secret;
  /** How long slots live without a sign of life; for tests. */
  readonly leaseMs?: number;
}

export type ValkeyLimits = LimitStore & {
  /** Undefined while the server answers. */
  readonly failure: BankFailure | undefined;
};

/** Connects, or goes on trying: a gateway without its limits starts, and says so. */
export async function openValkeyLimits(options: ValkeyLimitsOptions): Promise<ValkeyLimits> {
  const limits = new SharedLimits(options);
  await limits.begin();
  return limits;
}

/** The end of a request that the server was not told yet. */
interface Ending {
  readonly holder: string;
  readonly slots: readonly string[];
  readonly corrections: readonly RateCorrection[];
}

const { closeMs, endingsAtOnce, endingsMax, renewedAtOnce, retryMs } = valkeyLimits;

const take = scriptOf(takeScript);
const settle = scriptOf(settleScript);
const renew = scriptOf(renewScript);
const look = scriptOf(lookScript);

/** One hash tag for all: a script may touch only keys of one shard. */
const keyOf = (key: string): string => `{postern}:${key}`;

class SharedLimits implements ValkeyLimits {
  readonly #connection: Connection;
  readonly #leaseMs: number;
  /** Open requests that hold slots. */
  readonly #open = new ChurnMap<readonly string[]>();
  #endings: Ending[] = [];
  #underWay = 0;
  #timer: NodeJS.Timeout | undefined;
  #later: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor({ url, leaseMs = slotLeaseMs }: ValkeyLimitsOptions) {
    this.#leaseMs = leaseMs;
    this.#connection = new Connection(url.reveal(), [take, settle, renew, look], () => {
      void this.#renew();
      this.#tellEndings();
    });
  }

  async begin(): Promise<void> {
    await this.#connection.begin();
    this.#timer = setInterval(() => void this.#renew(), this.#leaseMs / 3);
    this.#timer.unref();
  }

  get failure(): BankFailure | undefined {
    return this.#connection.failure;
  }

  async take({ holder, rates, slots }: LimitAsk): Promise<Result<LimitAnswer, BankFailure>> {
    const slotKeys = slots.map(({ key }) => keyOf(key));
    const answer = await this.#connection.run(
      take,
      [...rates.map(({ key }) => keyOf(key)), ...slotKeys],
      [
        holder,
        this.#leaseMs,
        rates.length,
        ...rates.flatMap(({ limit, cost }) => [limit.units, limit.periodMs, limit.burst, cost]),
        ...slots.map(({ max }) => max),
      ],
    );
    if (!answer.ok) {
      // It may have been counted although nobody was told.
      if (answer.error.unsent !== true) this.#end({ holder, slots: slotKeys, corrections: [] });
      return answer;
    }
    const [full = 0, retryAfterMs = -1, ...numbers] = answer.value;
    const rooms = roomsOf(rates, numbers);
    if (full === 0) {
      if (slots.length > 0) this.#open.set(holder, slotKeys);
      return ok({ isAllowed: true, rooms });
    }
    const key = [...rates, ...slots][full - 1]?.key ?? '';
    const retry = retryAfterMs < 0 ? {} : { retryAfterMs };
    return ok({ isAllowed: false, rooms, full: { key, ...retry } });
  }

  settle(holder: string, corrections: readonly RateCorrection[]): void {
    const slots = this.#open.get(holder) ?? [];
    this.#open.delete(holder);
    const real = corrections.filter(({ units }) => units !== 0);
    if (slots.length === 0 && real.length === 0) return;
    this.#end({ holder, slots, corrections: real });
  }

  async look(
    rates: readonly Omit<RateAsk, 'cost'>[],
    slots: readonly SlotAsk[],
  ): ReturnType<LimitStore['look']> {
    const answer = await this.#connection.run(
      look,
      [...rates, ...slots].map(({ key }) => keyOf(key)),
      [rates.length, ...rates.flatMap(({ limit }) => [limit.units, limit.periodMs, limit.burst])],
    );
    if (!answer.ok) return answer;
    const numbers = answer.value;
    return ok({
      rooms: roomsOf(rates, numbers),
      inUse: slots.map((_, i) => numbers[2 * rates.length + i] ?? 0),
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    clearTimeout(this.#later);
    const untilMs = performance.now() + closeMs;
    while ((this.#endings.length > 0 || this.#underWay > 0) && performance.now() < untilMs)
      // oxlint-disable-next-line no-await-in-loop -- looked at until they are told
      await new Promise((resolve) => setTimeout(resolve, 5));
    await this.#connection.close();
  }

  #end(ending: Ending): void {
    if (this.#endings.length >= endingsMax) this.#endings.shift();
    this.#endings.push(ending);
    this.#tellEndings();
  }

  #tellEndings(): void {
    while (this.#underWay < endingsAtOnce && this.#connection.isThere) {
      const ending = this.#endings.shift();
      if (ending === undefined) return;
      this.#underWay += 1;
      void this.#tell(ending).then((isTold) => {
        this.#underWay -= 1;
        if (isTold) this.#tellEndings();
        else this.#tellLater();
      });
    }
  }

  #tellLater(): void {
    if (this.#isClosed) return;
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#tellEndings(), retryMs);
    this.#later.unref();
  }

  async #tell(ending: Ending): Promise<boolean> {
    const { holder, slots, corrections } = ending;
    const told = await this.#connection.run(
      settle,
      [...slots, ...corrections.map(({ key }) => keyOf(key))],
      [
        holder,
        slots.length,
        ...corrections.flatMap(({ limit, units }) => [
          limit.units,
          limit.periodMs,
          limit.burst,
          Math.trunc(units),
        ]),
      ],
    );
    if (told.ok || told.error.kind === 'closed') return told.ok;
    // Freeing a slot twice is nothing; correcting a rate twice would be wrong.
    const again = told.error.unsent === true ? ending : { ...ending, corrections: [] };
    if (again.slots.length > 0 || again.corrections.length > 0) this.#endings.unshift(again);
    return false;
  }

  /** Says that the open requests are still open. */
  async #renew(): Promise<void> {
    this.#tellEndings();
    const held = [...this.#open].flatMap(([holder, keys]) => keys.map((key) => ({ holder, key })));
    for (let at = 0; at < held.length; at += renewedAtOnce) {
      // What ended since is not taken up again.
      const part = held
        .slice(at, at + renewedAtOnce)
        .filter(({ holder }) => this.#open.has(holder));
      // oxlint-disable-next-line no-await-in-loop -- one script at a time, so that requests come in between
      const renewed = await this.#connection.run(
        renew,
        part.map(({ key }) => key),
        [this.#leaseMs, ...part.map(({ holder }) => holder)],
      );
      if (!renewed.ok) return;
    }
  }
}

function roomsOf(
  rates: readonly { readonly key: string }[],
  numbers: readonly number[],
): RateRoom[] {
  return rates.map(({ key }, i) => ({
    key,
    remaining: numbers[2 * i] ?? 0,
    resetMs: numbers[2 * i + 1] ?? 0,
  }));
}

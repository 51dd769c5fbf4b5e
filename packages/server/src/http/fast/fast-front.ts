import type { Connection } from '../connection.ts';
import type { HeadRules } from '../head.ts';
import type { TurnContext } from '../turn.ts';
import { FastConnection } from './fast-connection.ts';

/** How often idle connections are looked through. */
const lookMs = 1_000;

/** The connections of one listener that are on the short way, and the time that idle ones have. */
export class FastFront {
  readonly #context: TurnContext;
  readonly #rules: HeadRules;
  /** Connections that wait for their next request, with the time at which they began to. */
  readonly #resting = new Map<Connection, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(context: TurnContext, rules: HeadRules) {
    this.#context = context;
    this.#rules = rules;
  }

  /** Takes a connection of which nothing was read. `passOn` gives it to node:http. */
  adopt(connection: Connection, passOn: () => void): void {
    void new FastConnection(connection, {
      context: this.#context,
      rules: this.#rules,
      handOver: passOn,
      rests: (isResting) => this.#rests(connection, isResting),
    });
  }

  /** Closes every connection that has been answered and waits. */
  closeResting(): void {
    for (const { socket } of this.#resting.keys()) socket.destroy();
  }

  #rests(connection: Connection, isResting: boolean): void {
    if (!isResting) {
      this.#resting.delete(connection);
      return;
    }
    this.#resting.set(connection, performance.now());
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
  }

  #look(): void {
    const since = performance.now() - this.#context.limits.keepAliveMs;
    for (const [{ socket }, at] of this.#resting) if (at <= since) socket.destroy();
    if (this.#resting.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

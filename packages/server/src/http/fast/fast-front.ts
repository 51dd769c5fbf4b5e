import type { Connection } from '../connection.ts';
import type { HeadRules } from '../head.ts';
import { Roll } from '../roll.ts';
import type { TurnContext } from '../turn.ts';
import { FastConnection, type KnownHead } from './fast-connection.ts';

/** How often idle connections are looked through. */
const lookMs = 1_000;

/** The connections of one listener that are on the short way, and the time that idle ones have. */
export class FastFront {
  readonly #context: TurnContext;
  readonly #rules: HeadRules;
  readonly #connections = new Roll<FastConnection>();
  /** With whoever sent it: nothing of a head, credentials least of all, outlives its connection by more than a look. */
  #lately: { readonly head: KnownHead; readonly from: Connection } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(context: TurnContext, rules: HeadRules) {
    this.#context = context;
    this.#rules = rules;
  }

  /** Takes a connection of which nothing was read. `passOn` gives it to node:http. */
  adopt(connection: Connection, passOn: () => void): void {
    const adopted = new FastConnection(connection, {
      context: this.#context,
      rules: this.#rules,
      handOver: passOn,
      lately: () => this.#lately?.head,
      judged: (head) => {
        this.#lately = { head, from: connection };
      },
      left: (gone) => this.#connections.delete(gone),
    });
    this.#connections.add(adopted);
    this.#timer ??= setInterval(() => this.#look(), lookMs).unref();
  }

  /** Closes every connection that has been answered and waits. */
  closeResting(): void {
    this.#connections.each(({ connection, restingSinceMs }) => {
      if (restingSinceMs !== undefined) connection.socket.destroy();
    });
  }

  #look(): void {
    const since = performance.now() - this.#context.limits.keepAliveMs;
    this.#connections.each(({ connection, restingSinceMs }) => {
      if (restingSinceMs !== undefined && restingSinceMs <= since) connection.socket.destroy();
    });
    if (this.#connections.size === 0 || this.#lately?.from.socket.destroyed === true)
      this.#lately = undefined;
    if (this.#connections.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

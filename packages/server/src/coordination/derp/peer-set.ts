import type { DerpConnection } from './connection.ts';

/**
 * The connections of one node key: one, except while a node changes networks, or where a key was copied. The newest
 * one gets the packets until another one speaks; when two speak in turns, both are told.
 */
export class PeerSet {
  readonly #all = new Set<DerpConnection>();
  /** Those that have spoken since there are several. */
  readonly #spoke = new Set<DerpConnection>();
  #active: DerpConnection | undefined;
  #isUnwell = false;

  get size(): number {
    return this.#all.size;
  }

  get active(): DerpConnection | undefined {
    return this.#active;
  }

  get all(): ReadonlySet<DerpConnection> {
    return this.#all;
  }

  get oldest(): DerpConnection | undefined {
    for (const connection of this.#all) return connection;
    return undefined;
  }

  add(connection: DerpConnection): void {
    this.#all.add(connection);
    this.#active = connection;
  }

  remove(connection: DerpConnection): void {
    this.#all.delete(connection);
    this.#spoke.delete(connection);
    if (this.#active === connection) {
      this.#active = [...this.#all].at(-1);
    }
    if (this.#all.size > 1) return;
    this.#spoke.clear();
    if (this.#isUnwell) this.#active?.tellHealth('');
    this.#isUnwell = false;
  }

  noteActive(connection: DerpConnection, problem: string): void {
    if (this.#all.size === 1 || this.#active === connection) {
      if (this.#all.size > 1) this.#spoke.add(connection);
      return;
    }
    this.#active = connection;
    const isBack = this.#spoke.has(connection);
    this.#spoke.add(connection);
    if (!isBack || this.#isUnwell) return;
    this.#isUnwell = true;
    for (const each of this.#all) each.tellHealth(problem);
  }
}

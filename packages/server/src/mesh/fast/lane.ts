import type { Socket } from 'node:net';
import { FastConnection } from './connection.ts';
import { type FastDoor, type Lane, laneTickMs, type LaneUser } from './door.ts';
import type { WirePool } from './wire-pool.ts';

/** The connections of one door that are on the short way. */
export class FastLane<Memo> implements Lane<Memo> {
  readonly door: FastDoor<Memo>;
  readonly #pools: () => Iterable<WirePool>;
  readonly #connections = new Set<LaneUser>();
  readonly #timer: NodeJS.Timeout;
  /** Ticks since the start: a clock that costs nothing to read. */
  tick = 0;

  constructor(door: FastDoor<Memo>, pools: () => Iterable<WirePool>) {
    this.door = door;
    this.#pools = pools;
    this.#timer = setInterval(() => this.#look(), laneTickMs).unref();
  }

  /** Takes a connection of which nothing was read. */
  adopt(socket: Socket): void {
    this.#connections.add(new FastConnection(socket, this));
  }

  left(connection: LaneUser): void {
    this.#connections.delete(connection);
  }

  /** Ends what waits for a request, and every connection after its answer. */
  close(): void {
    clearInterval(this.#timer);
    for (const connection of this.#connections) connection.end();
  }

  #look(): void {
    this.tick += 1;
    for (const connection of this.#connections) connection.look();
    for (const pool of this.#pools()) pool.sweep(laneTickMs);
  }
}

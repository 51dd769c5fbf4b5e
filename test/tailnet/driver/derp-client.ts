import { randomBytes } from 'node:crypto';
import type { Duplex } from 'node:stream';
import { utf8, utf8Text } from '@postern/core/base';
import {
  boxKey,
  formatFrame,
  FrameReader,
  frameType,
  keyBytes,
  magic,
  openBox,
  sealBox,
} from '../../../packages/server/src/coordination/derp/index.ts';
import type { KeyPair } from '../../../packages/server/src/coordination/noise/index.ts';

/** What a relay said. */
export type DerpEvent =
  | { readonly kind: 'packet'; readonly source: string; readonly packet: Uint8Array }
  | { readonly kind: 'gone'; readonly peer: string; readonly reason: number }
  | { readonly kind: 'pong'; readonly data: Uint8Array }
  | { readonly kind: 'health'; readonly problem: string }
  | { readonly kind: 'restarting'; readonly reconnectInMs: number; readonly tryForMs: number }
  | { readonly kind: 'keepalive' }
  | { readonly kind: 'closed' };

const frameBytesMax = 1 << 20;

/** A DERP client on a socket on which DERP has begun: the reading side of the protocol, from its description. */
export class DerpClient {
  readonly #socket: Duplex;
  readonly #keys: KeyPair;
  readonly #reader = new FrameReader(() => frameBytesMax);
  readonly #events: DerpEvent[] = [];
  #waiting: (() => void)[] = [];
  #serverInfo: unknown;
  #shared: Uint8Array | undefined;

  constructor(socket: Duplex, keys: KeyPair, head: Uint8Array = new Uint8Array()) {
    this.#socket = socket;
    this.#keys = keys;
    socket.on('data', (chunk: Uint8Array) => this.#receive(chunk));
    socket.on('error', () => undefined);
    socket.on('end', () => socket.destroy());
    socket.on('close', () => this.#tell({ kind: 'closed' }));
    if (head.length > 0) this.#receive(head);
  }

  /** The client's own key in hex. */
  get key(): string {
    return Buffer.from(this.#keys.publicKey).toString('hex');
  }

  /** What the relay said of itself, once it has. */
  get serverInfo(): unknown {
    return this.#serverInfo;
  }

  /** Everything received and not taken yet. */
  get events(): readonly DerpEvent[] {
    return this.#events;
  }

  /** The first event that fits, now or within the time. */
  async next(
    fits: (event: DerpEvent) => boolean = () => true,
    withinMs = 5_000,
  ): Promise<DerpEvent> {
    const endMs = performance.now() + withinMs;
    for (;;) {
      const at = this.#events.findIndex(fits);
      const event = this.#events[at];
      if (event !== undefined) {
        this.#events.splice(at, 1);
        return event;
      }
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        const seen = this.#events.map(({ kind }) => kind).join(' ');
        throw new Error(`the relay did not say it in ${withinMs} ms; it said: ${seen}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  /** Resolves when the relay has admitted the client. */
  async admitted(withinMs = 5_000): Promise<void> {
    const endMs = performance.now() + withinMs;
    while (this.#serverInfo === undefined) {
      if (this.#events.some(({ kind }) => kind === 'closed')) throw new Error('refused');
      if (performance.now() > endMs) throw new Error('not admitted in time');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  send(destination: string, packet: Uint8Array): boolean {
    const key = Buffer.from(destination, 'hex');
    return this.#socket.write(formatFrame(frameType.sendPacket, key, packet));
  }

  sendFrame(type: number, ...parts: readonly Uint8Array[]): void {
    this.#socket.write(formatFrame(type, ...parts));
  }

  sendRaw(bytes: Uint8Array): void {
    this.#socket.write(bytes);
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Uint8Array): void {
    this.#reader.push(chunk);
    for (;;) {
      const next = this.#reader.next();
      if (!next.ok) throw new Error('a frame over a mebibyte');
      if (next.value === undefined) return;
      this.#take(next.value.type, next.value.payload);
    }
  }

  #take(type: number, payload: Uint8Array): void {
    const hex = (from: number): string =>
      Buffer.from(payload.subarray(from, from + keyBytes)).toString('hex');
    switch (type) {
      case frameType.serverKey:
        return this.#prove(payload);
      case frameType.serverInfo: {
        const opened = this.#shared === undefined ? undefined : openBox(this.#shared, payload);
        this.#serverInfo = JSON.parse(utf8Text(opened ?? new Uint8Array()) ?? '');
        return;
      }
      case frameType.recvPacket:
        return this.#tell({ kind: 'packet', source: hex(0), packet: payload.slice(keyBytes) });
      case frameType.peerGone:
        return this.#tell({ kind: 'gone', peer: hex(0), reason: payload[keyBytes] ?? 0 });
      case frameType.pong:
        return this.#tell({ kind: 'pong', data: payload.slice() });
      case frameType.health:
        return this.#tell({ kind: 'health', problem: utf8Text(payload) ?? '' });
      case frameType.restarting: {
        const view = Buffer.from(payload);
        const reconnectInMs = view.readUInt32BE(0);
        return this.#tell({ kind: 'restarting', reconnectInMs, tryForMs: view.readUInt32BE(4) });
      }
      case frameType.keepAlive:
        return this.#tell({ kind: 'keepalive' });
      default:
        throw new Error(`a relay does not send frame ${type}`);
    }
  }

  #prove(payload: Uint8Array): void {
    if (!magic.every((byte, i) => payload[i] === byte)) throw new Error('not a DERP server');
    const server = payload.subarray(magic.length, magic.length + keyBytes);
    this.#shared = boxKey(this.#keys, server);
    if (this.#shared === undefined) throw new Error('a server key of low order');
    const info = utf8(JSON.stringify({ version: 2, CanAckPings: true }));
    const box = sealBox(this.#shared, randomBytes(24), info);
    this.sendFrame(frameType.clientInfo, this.#keys.publicKey, box);
  }

  #tell(event: DerpEvent): void {
    this.#events.push(event);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

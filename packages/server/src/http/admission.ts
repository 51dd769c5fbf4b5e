import type { Socket } from 'node:net';
import { ChurnMap } from '@postern/core/base';
import {
  type Addr,
  addrBits,
  formatPrefix,
  type IpSet,
  isLoopback,
  parseAddr,
  prefixOf,
  unmap,
} from '@postern/core/base/netip';
import type { HttpLimits } from './limits.ts';

/** Why a connection is turned away before a byte of it is read. */
export type TurnedAway = 'not-a-trusted-proxy' | 'too-many' | 'too-many-of-one-source';

const v6SourceBits = 64;

/** Counts open connections, in all and by source. */
export class Admission {
  readonly #limits: HttpLimits;
  readonly #trusted: IpSet;
  readonly #onlyTrusted: boolean;
  readonly #bySource = new ChurnMap<number>();
  #open = 0;

  constructor(limits: HttpLimits, trusted: IpSet, onlyTrusted: boolean) {
    this.#limits = limits;
    this.#trusted = trusted;
    this.#onlyTrusted = onlyTrusted;
  }

  get open(): number {
    return this.#open;
  }

  /** Counts the socket in until it closes, or says why not. */
  admit(socket: Socket): TurnedAway | undefined {
    const address = addressOf(socket);
    const trusted = address !== undefined && this.#trusted.containsAddr(address);
    if (this.#onlyTrusted && !trusted) return 'not-a-trusted-proxy';
    if (this.#open >= this.#limits.connectionsMax) return 'too-many';
    const exempt = address === undefined || trusted || isLoopback(address);
    const source = exempt ? undefined : sourceOf(address);
    const ofSource = source === undefined ? 0 : (this.#bySource.get(source) ?? 0);
    if (ofSource >= this.#limits.connectionsPerSourceMax) return 'too-many-of-one-source';
    this.#open += 1;
    if (source !== undefined) this.#bySource.set(source, ofSource + 1);
    socket.on('close', () => this.#leave(source));
    return undefined;
  }

  #leave(source: string | undefined): void {
    this.#open -= 1;
    if (source === undefined) return;
    const left = (this.#bySource.get(source) ?? 1) - 1;
    if (left === 0) this.#bySource.delete(source);
    else this.#bySource.set(source, left);
  }
}

function addressOf(socket: Socket): Addr | undefined {
  const text = socket.remoteAddress;
  if (text === undefined) return undefined;
  const parsed = parseAddr(text);
  return parsed.ok ? unmap(parsed.value) : undefined;
}

/** One customer has one IPv4 address or one IPv6 /64. */
function sourceOf(address: Addr): string | undefined {
  const bits = Math.min(addrBits(address), v6SourceBits);
  const prefix = prefixOf(address, bits);
  return prefix === undefined ? undefined : formatPrefix(prefix);
}

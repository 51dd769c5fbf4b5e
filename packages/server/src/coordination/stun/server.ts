import {
  type Addr,
  addrValue,
  formatAddr,
  isV4,
  parseAddr,
  unmap,
  withZone,
} from '@postern/core/base/netip';
import { type AddrPort, formatBindingResponse, parseBindingRequest } from './message.ts';

export interface StunLimits {
  /** A binding request of a client is 40 bytes; nothing longer than this is looked at. */
  readonly requestBytesMax: number;
  /** Answers to one source (IPv4 address or IPv6 /64) in a window: clients ask a few times in 20 s. */
  readonly answersPerSourceMax: number;
  readonly windowMs: number;
  /** Sources remembered in a window; beyond it every new source waits for the next window. */
  readonly sourcesMax: number;
}

export const stunLimits: StunLimits = Object.freeze({
  requestBytesMax: 576,
  answersPerSourceMax: 256,
  windowMs: 10_000,
  sourcesMax: 65_536,
});

/** What a UDP socket gives: the source of a datagram. */
export interface DatagramSource {
  readonly address: string;
  readonly port: number;
}

/** How many datagrams were answered and how many not. */
export interface StunStats {
  readonly answered: number;
  readonly ignored: number;
  readonly limited: number;
}

/**
 * Answers binding requests. It owns no socket: the caller hands in datagrams and sends what comes back to their
 * source. An answer (at most 44 bytes) is about as long as the request, so a spoofed source gains nothing.
 */
export class StunServer {
  readonly #limits: StunLimits;
  readonly #nowMs: () => number;
  #answers = new Map<string, number>();
  #windowEndMs = 0;
  #stats = { answered: 0, ignored: 0, limited: 0 };

  constructor(options: { readonly nowMs: () => number; readonly limits?: Partial<StunLimits> }) {
    this.#nowMs = options.nowMs;
    this.#limits = { ...stunLimits, ...options.limits };
  }

  get stats(): StunStats {
    return { ...this.#stats };
  }

  /** The datagram to send back, or undefined: no answer. */
  answer(datagram: Uint8Array, source: DatagramSource): Uint8Array | undefined {
    if (datagram.length > this.#limits.requestBytesMax) return this.#ignore();
    const request = parseBindingRequest(datagram);
    if (!request.ok) return this.#ignore();
    const from = addrPortOf(source);
    if (from === undefined) return this.#ignore();
    if (!this.#mayAnswer(from.addr)) {
      this.#stats.limited += 1;
      return undefined;
    }
    this.#stats.answered += 1;
    return formatBindingResponse(request.value, from);
  }

  #ignore(): undefined {
    this.#stats.ignored += 1;
    return undefined;
  }

  #mayAnswer(addr: Addr): boolean {
    const nowMs = this.#nowMs();
    if (nowMs >= this.#windowEndMs) {
      this.#answers = new Map();
      this.#windowEndMs = nowMs + this.#limits.windowMs;
    }
    const key = sourceKey(addr);
    const count = this.#answers.get(key) ?? 0;
    if (count >= this.#limits.answersPerSourceMax) return false;
    if (count === 0 && this.#answers.size >= this.#limits.sourcesMax) return false;
    this.#answers.set(key, count + 1);
    return true;
  }
}

/** An IPv4 address, or the /64 that one IPv6 host usually has for itself. */
function sourceKey(addr: Addr): string {
  if (isV4(addr)) return formatAddr(addr);
  return (addrValue(addr) >> 64n).toString(16);
}

function addrPortOf({ address, port }: DatagramSource): AddrPort | undefined {
  const addr = parseAddr(address);
  return addr.ok ? { addr: withZone(unmap(addr.value), ''), port } : undefined;
}

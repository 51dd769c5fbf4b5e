import type { HeaderLines } from '../../http/index.ts';
import { digitsOf, writeDigits } from '../../http/index.ts';
import type { Counted } from './limiter.ts';

/** The tightest of the limits of one kind, which client libraries read from the headers. */
interface KindRoom {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

/** What stands before each number, in the words of the dialect's own provider. */
interface KindNames {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

const openai = {
  requests: namesOf('x-ratelimit', ['limit-requests', 'remaining-requests', 'reset-requests']),
  tokens: namesOf('x-ratelimit', ['limit-tokens', 'remaining-tokens', 'reset-tokens']),
};
const anthropic = {
  requests: namesOf('anthropic-ratelimit-requests', ['limit', 'remaining', 'reset']),
  tokens: namesOf('anthropic-ratelimit-tokens', ['limit', 'remaining', 'reset']),
};

function namesOf(start: string, [limit, remaining, reset]: readonly [string, string, string]) {
  return {
    limit: `${start}-${limit}: `,
    remaining: `\r\n${start}-${remaining}: `,
    reset: `\r\n${start}-${reset}: `,
  } satisfies KindNames;
}

type Family = 'openai' | 'anthropic';

/** Rate headers as the dialect's own provider sends them; undefined where no rate is limited. */
export function rateLines(
  counted: Counted,
  family: Family,
  nowMs: number,
): HeaderLines | undefined {
  const { requests, tokens } = tightest(counted);
  if (requests === undefined && tokens === undefined) return undefined;
  return new RateLines(requests, tokens, { family, nowMs });
}

/** The tightest of the limits of each kind. */
function tightest({ rates, rooms }: Counted): {
  readonly requests: KindRoom | undefined;
  readonly tokens: KindRoom | undefined;
} {
  let requests: KindRoom | undefined;
  let tokens: KindRoom | undefined;
  for (let i = 0; i < rates.length; i += 1) {
    const [rate, room] = [rates[i], rooms[i]];
    if (rate === undefined || room === undefined) continue;
    const { remaining, resetMs } = room;
    const before = rate.counts === 'tokens' ? tokens : requests;
    if (before !== undefined && before.remaining <= remaining) continue;
    const here = { limit: rate.limit.units, remaining, resetMs };
    if (rate.counts === 'tokens') tokens = here;
    else requests = here;
  }
  return { requests, tokens };
}

/** Lines that are written number by number into the head: as text they would be put together and copied once more. */
class RateLines implements HeaderLines {
  readonly #requests: KindLines | undefined;
  readonly #tokens: KindLines | undefined;
  readonly length: number;

  constructor(
    requests: KindRoom | undefined,
    tokens: KindRoom | undefined,
    { family, nowMs }: { readonly family: Family; readonly nowMs: number },
  ) {
    const names = family === 'anthropic' ? anthropic : openai;
    const resetOf = ({ resetMs }: KindRoom): string =>
      family === 'anthropic' ? anthropicReset(nowMs, resetMs) : openaiReset(resetMs);
    if (requests !== undefined)
      this.#requests = new KindLines(names.requests, requests, resetOf(requests));
    if (tokens !== undefined) this.#tokens = new KindLines(names.tokens, tokens, resetOf(tokens));
    this.length = (this.#requests?.length ?? 0) + (this.#tokens?.length ?? 0);
  }

  write(target: Uint8Array, at: number): void {
    this.#requests?.write(target, at);
    this.#tokens?.write(target, at + (this.#requests?.length ?? 0));
  }
}

class KindLines implements HeaderLines {
  readonly #words: Words;
  readonly #remaining: number;
  readonly #reset: string;
  readonly #digits: number;
  readonly length: number;

  constructor(names: KindNames, { limit, remaining }: KindRoom, reset: string) {
    this.#words = wordsOf(names, limit);
    this.#remaining = remaining;
    this.#reset = reset;
    this.#digits = digitsOf(remaining);
    const { start, middle } = this.#words;
    this.length = start.length + this.#digits + middle.length + reset.length + 2;
  }

  write(target: Uint8Array, at: number): void {
    const { start, middle } = this.#words;
    target.set(start, at);
    const digitsAt = at + start.length;
    const digitsEnd = digitsAt + this.#digits;
    writeDigits(target, { from: digitsAt, end: digitsEnd }, this.#remaining);
    target.set(middle, digitsEnd);
    const reset = this.#reset;
    const resetAt = digitsEnd + middle.length;
    for (let i = 0; i < reset.length; i += 1) target[resetAt + i] = reset.charCodeAt(i);
    target[resetAt + reset.length] = carriageReturn;
    target[resetAt + reset.length + 1] = lineFeed;
  }
}

const [carriageReturn, lineFeed] = [0x0d, 0x0a];

/** All but what changes from answer to answer. */
interface Words {
  readonly limit: number;
  readonly start: Uint8Array;
  readonly middle: Uint8Array;
}

/** Of the limit of the last answer: mostly it is that of the next. */
const latest = new Map<KindNames, Words>();

function wordsOf(names: KindNames, limit: number): Words {
  const known = latest.get(names);
  if (known?.limit === limit) return known;
  const words = {
    limit,
    start: Buffer.from(`${names.limit}${limit}${names.remaining}`),
    middle: Buffer.from(names.reset),
  };
  latest.set(names, words);
  return words;
}

/** `1s`, `6m0s`, `120ms`: how OpenAI writes a reset. */
function openaiReset(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

/** RFC 3339, whole seconds. */
function anthropicReset(nowMs: number, resetMs: number): string {
  const resetAt = new Date(Math.ceil((nowMs + resetMs) / 1_000) * 1_000);
  return resetAt.toISOString().replace('.000Z', 'Z');
}

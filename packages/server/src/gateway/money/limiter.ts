import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { HeaderLines } from '../../http/index.ts';
import type { BankFailure } from './bank.ts';
import type {
  LimitAnswer,
  LimitStore,
  RateAsk,
  RateCorrection,
  RateRoom,
  SlotAsk,
} from './limit-store.ts';
import type { LimitTerm } from './terms.ts';

/** A rate with what counts under it. */
export interface CountedAsk extends RateAsk {
  readonly counts: 'requests' | 'tokens';
}

/** What a request was counted under. */
export interface Taken {
  readonly holder: string;
  readonly rates: readonly CountedAsk[];
  readonly rooms: readonly RateRoom[];
  /** Tokens that it was counted with until its usage is known. */
  readonly tokens: number;
}

/** The limits that a request was held against, and how much room each has. */
export type Counted = Pick<Taken, 'rates' | 'rooms'>;

export interface LimitsRefused {
  readonly refusal: Refusal;
  /** For the headers of the refusal; absent where the store did not answer. */
  readonly counted: Counted | undefined;
}

/** What a caller's limits ask of the store, whatever the request: its keys are looked up by every request of theirs. */
interface Asks {
  readonly rates: readonly CountedAsk[];
  readonly slots: readonly SlotAsk[];
  readonly countTokens: boolean;
}

/** By the terms of a caller, which are the same value until the configuration changes. */
const known = new WeakMap<readonly LimitTerm[], Asks>();

function asksOf(terms: readonly LimitTerm[]): Asks {
  let asks = known.get(terms);
  if (asks === undefined) {
    asks = {
      rates: terms.flatMap(({ key, requests, tokens }) => [
        ...(requests === undefined
          ? []
          : [{ key: `${key} requests`, limit: requests, cost: 1, counts: 'requests' as const }]),
        ...(tokens === undefined
          ? []
          : [{ key: `${key} tokens`, limit: tokens, cost: 0, counts: 'tokens' as const }]),
      ]),
      slots: terms.flatMap(({ key, concurrent }) =>
        concurrent === undefined ? [] : [{ key: `${key} slots`, max: concurrent }],
      ),
      countTokens: terms.some(({ tokens }) => tokens !== undefined),
    };
    known.set(terms, asks);
  }
  return asks;
}

export function ratesOf(terms: readonly LimitTerm[], tokens: number): readonly CountedAsk[] {
  return asksOf(terms).rates.map((ask) => {
    if (ask.counts === 'requests') return ask;
    const { key, limit, counts } = ask;
    // A prompt above a minute's worth comes when nothing else does, and is owed afterwards.
    return { key, limit, cost: Math.min(tokens, limit.burst), counts };
  });
}

/** Whether any of them counts tokens; where none does, nobody has to read the prompt for them. */
export function countTokens(terms: readonly LimitTerm[]): boolean {
  return asksOf(terms).countTokens;
}

export function slotsOf(terms: readonly LimitTerm[]): readonly SlotAsk[] {
  return asksOf(terms).slots;
}

/** Counts a request under every limit of its caller, or refuses it; at once where the store is in memory. */
export function takeLimits(
  store: LimitStore,
  request: {
    readonly holder: string;
    readonly terms: readonly LimitTerm[];
    readonly tokens: number;
  },
): Result<Taken, LimitsRefused> | Promise<Result<Taken, LimitsRefused>> {
  const { holder, terms, tokens } = request;
  const rates = ratesOf(terms, tokens);
  const answer = store.take({ holder, rates, slots: slotsOf(terms) });
  const read = (result: Result<LimitAnswer, BankFailure>): Result<Taken, LimitsRefused> => {
    if (!result.ok) return err({ refusal: storeRefusal(result.error), counted: undefined });
    const { isAllowed, rooms, full } = result.value;
    if (isAllowed) return ok({ holder, rates, rooms, tokens });
    return err({ refusal: limitRefusal(full ?? { key: '' }), counted: { rates, rooms } });
  };
  return answer instanceof Promise ? answer.then(read) : read(answer);
}

function limitRefusal(full: { readonly key: string; readonly retryAfterMs?: number }): Refusal {
  const [account = '', kind = ''] = full.key.split(' ');
  const name = account.split('/', 1)[0] ?? '';
  const what =
    kind === 'slots'
      ? 'requests at a time'
      : kind === 'tokens'
        ? 'tokens a minute'
        : 'requests a minute';
  return refusal(
    'rate_limited',
    `You are at the limit "${name}" of ${what}. GET /v1/usage shows your limits.`,
    {
      // When somebody else's request ends is known to nobody; a second is what clients try again after anyway.
      retryAfterMs: full.retryAfterMs ?? 1_000,
      detail: { limit: name, kind },
    },
  );
}

/** A store that does not answer says nothing about the caller. */
export function storeRefusal(failure: BankFailure): Refusal {
  return refusal(
    'state_unavailable',
    'What limits and budgets are counted in does not answer now. Try again.',
    { retryAfterMs: 2_000, detail: { store: failure.kind, why: failure.message } },
  );
}

const correct: readonly RateCorrection[] = Object.freeze([]);

/** What the usage differs by from what was counted. */
export function correctionsOf(taken: Taken, tokens: number): readonly RateCorrection[] {
  let corrections = correct;
  for (const { key, limit, cost, counts } of taken.rates) {
    const units = tokens - cost;
    if (counts === 'requests' || units === 0) continue;
    // One is the rule, and a list that grows takes room for many.
    const correction = { key, limit, units };
    corrections = corrections.length === 0 ? [correction] : [...corrections, correction];
  }
  return corrections;
}

/** The tightest of the limits of each kind, for the headers that client libraries read. */
export interface Headroom {
  readonly requests: KindRoom | undefined;
  readonly tokens: KindRoom | undefined;
}

interface KindRoom {
  readonly limit: number;
  readonly remaining: number;
  readonly resetMs: number;
}

export function headroomOf(taken: Counted): Headroom {
  let requests: KindRoom | undefined;
  let tokens: KindRoom | undefined;
  const { rates, rooms } = taken;
  for (let i = 0; i < rates.length; i += 1) {
    const [rate, room] = [rates[i], rooms[i]];
    if (rate === undefined || room === undefined) continue;
    const { remaining, resetMs } = room;
    const tightest = rate.counts === 'tokens' ? tokens : requests;
    if (tightest !== undefined && tightest.remaining <= remaining) continue;
    const here = { limit: rate.limit.units, remaining, resetMs };
    if (rate.counts === 'tokens') tokens = here;
    else requests = here;
  }
  return { requests, tokens };
}

/** `1s`, `6m0s`, `120ms`: how OpenAI writes a reset. */
function openaiReset(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms / 1_000);
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`;
}

type Family = 'openai' | 'anthropic';

/** What stands before each number. */
interface KindLines {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
  /** The limit of the last answer with its line: mostly it is the one of the next. */
  readonly latest: { limit: number; start: string };
}

const headerLines = {
  openai: {
    requests: kindLines('x-ratelimit', ['limit-requests', 'remaining-requests', 'reset-requests']),
    tokens: kindLines('x-ratelimit', ['limit-tokens', 'remaining-tokens', 'reset-tokens']),
  },
  anthropic: {
    requests: kindLines('anthropic-ratelimit-requests', ['limit', 'remaining', 'reset']),
    tokens: kindLines('anthropic-ratelimit-tokens', ['limit', 'remaining', 'reset']),
  },
} as const;

function kindLines(start: string, [limit, remaining, reset]: readonly string[]): KindLines {
  return {
    limit: `${start}-${limit}: `,
    remaining: `\r\n${start}-${remaining}: `,
    reset: `\r\n${start}-${reset}: `,
    latest: { limit: Number.NaN, start: '' },
  };
}

/** RFC 3339, whole seconds. */
function anthropicReset(nowMs: number, resetMs: number): string {
  const resetAt = new Date(Math.ceil((nowMs + resetMs) / 1_000) * 1_000);
  return resetAt.toISOString().replace('.000Z', 'Z');
}

/** Rate headers as the dialect's own provider sends them. */
export function rateLines(room: Headroom, family: Family, nowMs: number): HeaderLines {
  const { requests, tokens } = room;
  const lines = headerLines[family];
  const ofRequests = requests === undefined ? '' : saidOf(lines.requests, requests, family, nowMs);
  const ofTokens = tokens === undefined ? '' : saidOf(lines.tokens, tokens, family, nowMs);
  // Names of this file, numbers, and resets that this file writes: none of them ends a line.
  return `${ofRequests}${ofTokens}` as HeaderLines;
}

function saidOf(
  lines: KindLines,
  { limit, remaining, resetMs }: KindRoom,
  family: Family,
  nowMs: number,
): string {
  const reset = family === 'anthropic' ? anthropicReset(nowMs, resetMs) : openaiReset(resetMs);
  const { latest } = lines;
  if (latest.limit !== limit) {
    latest.limit = limit;
    latest.start = `${lines.limit}${limit}${lines.remaining}`;
  }
  return `${latest.start}${remaining}${lines.reset}${reset}\r\n`;
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
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

interface LimitsAsked {
  readonly holder: string;
  readonly terms: readonly LimitTerm[];
  readonly tokens: number;
}

/** Counts a request under every limit of its caller, or refuses it; at once where the store is in memory. */
export function takeLimits(
  store: LimitStore,
  request: LimitsAsked,
): Result<Taken, LimitsRefused> | Promise<Result<Taken, LimitsRefused>> {
  const { holder, terms, tokens } = request;
  const rates = ratesOf(terms, tokens);
  const answer = store.take({ holder, rates, slots: slotsOf(terms) });
  if (answer instanceof Promise) return answer.then((result) => readAnswer(result, request, rates));
  return readAnswer(answer, request, rates);
}

function readAnswer(
  result: Result<LimitAnswer, BankFailure>,
  { holder, terms, tokens }: LimitsAsked,
  rates: readonly CountedAsk[],
): Result<Taken, LimitsRefused> {
  if (!result.ok) return err({ refusal: storeRefusal(result.error), counted: undefined });
  const { isAllowed, rooms, full } = result.value;
  if (isAllowed) return ok({ holder, rates, rooms, tokens });
  return err({
    refusal: limitRefusal(full ?? { key: '' }, asksOf(terms)),
    counted: { rates, rooms },
  });
}

function limitRefusal(
  { key, retryAfterMs }: { readonly key: string; readonly retryAfterMs?: number },
  { rates, slots }: Asks,
): Refusal {
  const [account = '', kind = ''] = key.split(' ');
  const limit = account.split('/', 1)[0] ?? '';
  // When somebody else's request ends is known to nobody; a second is what clients try again after anyway.
  const againMs = retryAfterMs ?? 1_000;
  const units = rates.find((ask) => ask.key === key)?.limit.units;
  const max = slots.find((ask) => ask.key === key)?.max ?? 0;
  const why =
    units === undefined
      ? `${several(max, 'requests')} at a time. Try again when one has ended`
      : `${several(units, kind)} a minute, and this request is above it. Try again in ${Math.ceil(againMs / 1_000)} s`;
  return refusal(
    'rate_limited',
    `The limit "${limit}" allows you ${why}; GET /v1/usage shows your limits.`,
    { retryAfterMs: againMs, detail: { limit, kind } },
  );
}

const several = (count: number, plural: string): string =>
  count === 1 ? `1 ${plural.slice(0, -1)}` : `${count} ${plural}`;

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

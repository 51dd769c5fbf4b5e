import type { Result, Soon } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Conversation, Usage } from '@postern/core/dialect';
import { noUsage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { ModelPrice } from '@postern/core/price';
import { usdText } from '@postern/core/price';
import type { Target } from '@postern/core/routing';
import type { Ledger } from './ledger.ts';
import type { Shortage } from './ledger-options.ts';
import type { Taken } from './limiter.ts';
import { targetName } from '../target-name.ts';
import { correctionsOf, storeRefusal } from './limiter.ts';
import type { LimitStore } from './limit-store.ts';
import { Prompt } from './prompt.ts';
import type { Priced, Tariff, Tariffs } from './tariff.ts';
import { asksFaster, namesTier, withPictures } from './billed-apart.ts';
import { charge } from './charge.ts';
import type { Offer } from './forecast.ts';
import { Forecast } from './forecast.ts';
import { mayHideThinking, thoughtUnasked } from './hidden-thinking.ts';
import { withOwnUses } from './tool-uses.ts';
import type { CallerTerms } from './terms.ts';

/** What one attempt may do. */
export interface AttemptTerms {
  /** The cap to send where the caller sent none: less than the permit's where the balance allows no more. */
  readonly maxOutputTokens: number;
}

/** What a purse is made from; the same for all requests of one configuration. */
export interface Money {
  readonly tariffs: Tariffs;
  readonly ledger: () => Ledger | Promise<Ledger>;
  readonly limits: LimitStore;
  /** While a store does not answer: refuse, or serve and charge afterwards. */
  readonly whenDown: 'refuse' | 'serve';
  readonly nowMs: () => number;
}

export interface PurseRequest {
  /** Of the request, unique among all processes. */
  readonly id: string;
  readonly caller: Caller;
  readonly terms: CallerTerms;
  readonly conversation: Conversation;
  /** As admitted. */
  readonly model: string;
  readonly maxOutputTokens: number;
  readonly taken: Taken | undefined;
  /** Where somebody may have asked for its estimate already. */
  readonly prompt?: Prompt;
}

/** Output tokens that a stream reserves at a time. */
export const streamStepTokens = 2_000;
/** Tokens are counted by characters on the way, which gives up to so many times what they are. */
const miscountMax = 3;
/** An answer with less room than this is not worth its prompt. */
const usefulTokensMin = 16;
/** Where a balance bounds an answer, it takes at most this part of it, so that the next request has some too. */
const roomShare = 4;
/** But not less than this, where there is so much. */
const reducedTokensMin = 256;
const hourMs = 3_600_000;

/**
 * The money of one request: for each attempt a reservation before it is sent, more while it streams, and one settlement with what it came
 * to. An attempt that the upstream refused cost nothing; of one whose end nobody knows, the prompt is charged.
 */
export class Purse {
  readonly #money: Money;
  readonly #request: PurseRequest;
  readonly #prompt: Prompt;
  readonly #forecast: Forecast;
  #open: OpenAttempt | undefined;
  #ledger: Ledger | undefined;
  #costs = 0;
  #isOver = false;
  #isAssumed = false;
  #hasEstimates = false;
  #tokens = 0;
  #attempts = 0;

  constructor(money: Money, request: PurseRequest) {
    this.#money = money;
    this.#request = request;
    this.#prompt = request.prompt ?? new Prompt(request.conversation);
    this.#forecast = new Forecast(request.conversation, this.#prompt);
  }

  /** The answer came at a faster tier than was asked for, whose price nobody states, or nobody says how much of it is pictures. */
  get isAssumed(): boolean {
    return this.#isAssumed;
  }

  /** What some attempt used was counted here, or its price assumed. */
  get hasEstimates(): boolean {
    return this.#hasEstimates;
  }

  /** What all attempts came to so far, nano-USD. */
  get cost(): number {
    return this.#costs;
  }

  /** The accounts that each pay all of it. */
  get accounts(): readonly string[] {
    return this.#request.terms.names;
  }

  /**
   * Pays for one attempt in advance. Whatever attempt came before has been settled. `passes`: the request goes on with all that only its
   * own format knows.
   */
  begin(target: Target, passes = true): Soon<Result<AttemptTerms, Refusal>> {
    this.lapse('unknown');
    const faster = passes && asksFaster(this.#request.conversation);
    const tariff = this.#money.tariffs.of(target.provider, target.model, faster);
    if (tariff instanceof Promise) return tariff.then((found) => this.#beginAt(target, found));
    return this.#beginAt(target, tariff);
  }

  #beginAt(target: Target, tariff: Tariff): Soon<Result<AttemptTerms, Refusal>> {
    const { accounts } = this.#request.terms;
    if (tariff.kind === 'unknown') return err(priceRefusal(target, this.#request.conversation));
    if (tariff.kind === 'unresolved') return err(unresolvedRefusal(target));
    const cap = this.#request.conversation.maxOutputTokens ?? this.#request.maxOutputTokens;
    if (tariff.kind === 'free' || accounts.length === 0) {
      this.#open = { target, tariff, id: undefined, heldTokens: cap, capTokens: cap };
      return ok({ maxOutputTokens: cap });
    }
    this.#attempts += 1;
    const id = `${this.#request.id}.${this.#attempts}`;
    const attempt = { id, target, tariff, cap, capTokens: cap, round: 0 };
    const ledger = this.#money.ledger();
    if (ledger instanceof Promise) return ledger.then((made) => this.#reserve(made, attempt));
    return this.#reserve(ledger, attempt);
  }

  /**
   * The stream has come so far: sets more aside before what is reserved runs out. Undefined where there is nothing to wait for.
   */
  grow(outputTokens: number): undefined | Promise<Result<void, Refusal>> {
    const open = this.#open;
    if (open?.id === undefined) return undefined;
    const each = Math.ceil(outputTokens / this.#forecast.answers);
    if (open.heldTokens >= open.capTokens) {
      // Up to the cap all is paid for. What is far beyond it comes from an upstream that keeps to none.
      const isBeyond = each > open.capTokens * miscountMax && each > open.heldTokens;
      return isBeyond ? this.#extend(open, open.id, each) : undefined;
    }
    // Half a step ahead, so that the lease may take its time.
    if (each + streamStepTokens / 2 < open.heldTokens) return undefined;
    return this.#extend(open, open.id, each);
  }

  /** Ends the attempt with its usage. Gives what it cost. */
  settle(usage: Usage | undefined, isEstimated: boolean): number {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined) return 0;
    const counts = usage === undefined ? noUsage : this.#counted(open, usage);
    const price = this.#priceOf(open, counts, isEstimated);
    const cost = price === undefined ? 0 : charge(price, counts, open.target.model);
    const { provider, model } = open.target;
    if (thoughtUnasked(this.#request.conversation, counts))
      this.#money.tariffs.cameThinking(provider, model);
    if (open.id !== undefined) this.#ledger?.settle(open.id, cost);
    if (open.isOwed && cost > 0) this.#ledger?.owe(this.#request.terms.accounts, cost);
    this.#costs += cost;
    this.#tokens += counts.input + counts.cacheRead + counts.cacheWrite + counts.output;
    if (usage !== undefined) {
      const isGuess = isEstimated || this.#isAssumed;
      this.#hasEstimates ||= isGuess;
      this.#note(open.target, counts, cost, isGuess);
    }
    return cost;
  }

  /** With what the answer has and nobody counted. */
  #counted({ tariff, target }: OpenAttempt, usage: Usage): Usage {
    const searched = withOwnUses(usage, this.#request.conversation, target.model);
    if (tariff.kind !== 'priced') return searched;
    const painted = withPictures(tariff.price, searched);
    if (painted !== searched) this.#isAssumed = true;
    return painted;
  }

  /** Of what nobody counted the tier is as unknown as the rest. */
  #priceOf(
    { tariff, target }: OpenAttempt,
    usage: Usage,
    isEstimated: boolean,
  ): ModelPrice | undefined {
    if (tariff.kind !== 'priced') return undefined;
    if (usage.tier === undefined || tariff.faster === undefined)
      return isEstimated ? this.#ahead(tariff) : tariff.price;
    this.#isAssumed = true;
    this.#money.tariffs.cameFaster(target.provider, target.model);
    return tariff.faster;
  }

  /** What is set aside by. */
  #ahead({ price, ahead }: Priced): ModelPrice {
    return ahead === price || namesTier(this.#request.conversation) ? price : ahead;
  }

  #offer(tariff: Priced, { model }: Target): Offer {
    return { model, price: this.#ahead(tariff) };
  }

  /** Ends an attempt that gave no answer. `unknown`: the upstream may have read the prompt. */
  lapse(how: 'refused' | 'unknown'): void {
    if (this.#open === undefined) return;
    if (how === 'refused') this.settle(undefined, false);
    else this.settle({ ...noUsage, input: this.#prompt.tokens }, true);
  }

  /** Whatever is still open ends, and the limits get back what was not used. Safe to call twice. */
  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.lapse('unknown');
    const { taken } = this.#request;
    if (taken !== undefined)
      this.#money.limits.settle(taken.holder, correctionsOf(taken, this.#tokens));
  }

  /** One amount after the other: a smaller one where the balance does not have the first. */
  #reserve(ledger: Ledger, attempt: Reserving): Soon<Result<AttemptTerms, Refusal>> {
    const { conversation, terms } = this.#request;
    const { id, target, tariff, capTokens } = attempt;
    this.#ledger = ledger;
    const grows = conversation.stream && !mayHideThinking(conversation, tariff.thinks);
    const held = grows ? Math.min(streamStepTokens, capTokens) : capTokens;
    const amount = this.#forecast.cost(this.#offer(tariff, target), held);
    const reserved = ledger.reserve(id, terms.accounts, amount);
    const asked = { ledger, attempt, held, amount };
    if (reserved instanceof Promise) return reserved.then((answer) => this.#begun(asked, answer));
    return this.#begun(asked, reserved);
  }

  #begun(
    { ledger, attempt, held, amount }: Asked,
    reserved: Result<void, Shortage>,
  ): Soon<Result<AttemptTerms, Refusal>> {
    const { id, target, tariff, cap, capTokens, round } = attempt;
    if (reserved.ok) {
      this.#open = { target, tariff, id, heldTokens: held, capTokens };
      return ok({ maxOutputTokens: capTokens });
    }
    const shortage = reserved.error;
    if (shortage.kind === 'unavailable' && this.#money.whenDown === 'serve') {
      this.#open = { target, tariff, id: undefined, isOwed: true, heldTokens: cap, capTokens: cap };
      return ok({ maxOutputTokens: cap });
    }
    const offer = this.#offer(tariff, target);
    const reduced = round < 2 ? this.#reduced(shortage, offer, held) : undefined;
    if (reduced === undefined)
      return err(this.#refusalOf(shortage, amount, { offer, isAssumed: tariff.assumed }));
    return this.#reserve(ledger, { ...attempt, capTokens: reduced, round: round + 1 });
  }

  /** A cap that fits the balance, where the cap is ours to choose. */
  #reduced(shortage: Shortage, offer: Offer, held: number): number | undefined {
    if (shortage.kind !== 'exhausted') return undefined;
    if (this.#request.conversation.maxOutputTokens !== undefined) return undefined;
    const most = this.#forecast.affordable(offer, shortage.room);
    const fair = Math.max(
      this.#forecast.affordable(offer, Math.floor(shortage.room / roomShare)),
      Math.min(reducedTokensMin, most),
    );
    return fair >= usefulTokensMin && fair < held ? fair : undefined;
  }

  async #extend(
    open: OpenAttempt,
    id: string,
    outputTokens: number,
  ): Promise<Result<void, Refusal>> {
    if (open.tariff.kind !== 'priced' || this.#ledger === undefined) return ok(undefined);
    const next = Math.max(open.heldTokens, outputTokens) + streamStepTokens;
    const aim = open.heldTokens < open.capTokens ? Math.min(open.capTokens, next) : next;
    const offer = this.#offer(open.tariff, open.target);
    const amount = this.#forecast.cost(offer, aim) - this.#forecast.cost(offer, open.heldTokens);
    const asked = this.#ledger.extend(id, this.#request.terms.accounts, amount);
    const extended = asked instanceof Promise ? await asked : asked;
    if (extended.ok) {
      open.heldTokens = aim;
      return ok(undefined);
    }
    // An open stream finishes: what it costs is charged once the store is back.
    if (extended.error.kind === 'unavailable') {
      open.heldTokens = aim;
      return ok(undefined);
    }
    // What is reserved already may still be used.
    if (outputTokens < open.heldTokens) return ok(undefined);
    return err(this.#refusalOf(extended.error, amount, { offer, isAssumed: open.tariff.assumed }));
  }

  #refusalOf(
    shortage: Shortage,
    amount: number,
    { offer, isAssumed }: { readonly offer: Offer; readonly isAssumed: boolean },
  ): Refusal {
    if (shortage.kind === 'unavailable') return storeRefusal(shortage.failure);
    if (shortage.kind === 'too-many')
      return refusal('overloaded', 'More requests are open than are paid for at once. Try again.', {
        retryAfterMs: 1_000,
      });
    const name = shortage.account.split('/', 1)[0] ?? '';
    const most = this.#forecast.affordable(offer, shortage.room);
    const hint =
      this.#request.conversation.maxOutputTokens !== undefined && most >= usefulTokensMin
        ? ` There is room for about ${most} output tokens.`
        : '';
    const at = shortage.affordableAtMs;
    const when = at === undefined ? '' : ` It has room again at ${new Date(at).toISOString()}.`;
    const assumed = isAssumed
      ? ' Nobody states a price for this model, so it counts at the highest one known; `prices` in a configuration says what it really costs.'
      : '';
    return refusal(
      'budget_exhausted',
      `The budget "${name}" has ${usdText(shortage.room)} USD left, and this request may cost ${usdText(amount)} USD.${hint}${when}${assumed}`,
      {
        ...(at === undefined ? {} : { retryAfterMs: Math.max(0, at - this.#money.nowMs()) }),
        detail: { budget: name, room: shortage.room, amount },
      },
    );
  }

  #note(target: Target, usage: Usage, cost: number, isEstimated: boolean): void {
    const { caller, terms, model } = this.#request;
    const now = this.#money.nowMs();
    const row = {
      hourMs: Math.floor(now / hourMs) * hourMs,
      principal: terms.principal,
      display: caller.subject.display,
      model,
      target: targetName(target),
      accounts: terms.historyKey,
      requests: 1,
      estimated: isEstimated ? 1 : 0,
      input: usage.input,
      cacheRead: usage.cacheRead,
      cacheWrite: usage.cacheWrite,
      output: usage.output,
      reasoning: usage.reasoning,
      cost,
      webSearches: usage.webSearches ?? 0,
      storageSearches: usage.storageSearches ?? 0,
      inputAudio: (usage.inputAudio ?? 0) + (usage.cacheReadAudio ?? 0),
      outputAudio: usage.outputAudio ?? 0,
    };
    const ledger = this.#ledger ?? this.#money.ledger();
    if (ledger instanceof Promise) void ledger.then((made) => made.note(row));
    else ledger.note(row);
  }
}

interface Reserving {
  readonly id: string;
  readonly target: Target;
  readonly tariff: Priced;
  readonly cap: number;
  /** What is tried now. */
  readonly capTokens: number;
  readonly round: number;
}

/** A reservation that the ledger was asked for. */
interface Asked {
  readonly ledger: Ledger;
  readonly attempt: Reserving;
  /** Output tokens that it is for. */
  readonly held: number;
  readonly amount: number;
}

interface OpenAttempt {
  readonly target: Target;
  readonly tariff: Exclude<Tariff, { kind: 'unknown' | 'unresolved' }>;
  /** Of the reservation; absent where the attempt costs nothing. */
  readonly id: string | undefined;
  heldTokens: number;
  readonly capTokens: number;
  /** Nothing is reserved, because the store did not answer: the cost is charged all the same. */
  readonly isOwed?: boolean;
}

/** As the call itself would have ended, but for the wait. */
function unresolvedRefusal({ provider }: Target): Refusal {
  return refusal(
    'upstream_unavailable',
    `The name of the server of "${provider}" does not resolve now. Try again.`,
    { retryAfterMs: 1_000, detail: { stage: 'connect' } },
  );
}

function priceRefusal(target: Target, conversation: Conversation): Refusal {
  const tier = asksFaster(conversation) ? ' at the tier that this request asks for' : '';
  return refusal(
    'price_unknown',
    `Nobody states what "${target.provider}/${target.model}" costs${tier}, and what has no price is not sent. Whoever runs this Postern sets it under "prices" in the configuration.`,
    { param: 'model', detail: { target: `${target.provider}/${target.model}` } },
  );
}

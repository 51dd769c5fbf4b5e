import type { Result } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import type { BudgetConfig, CallerLimitConfig } from '@postern/core/contract';
import type { Caller, Principal } from '@postern/core/identity';
import { principalKey } from '@postern/core/identity';
import { nanoUsdOf } from '@postern/core/price';
import type { Budget, BudgetSubject, Payer, RateLimit } from '@postern/core/quota';
import { accountKeys } from '@postern/core/quota';

/** One account that a request pays from. */
export interface PaidAccount {
  readonly account: string;
  readonly budget: Budget;
}

/** One caller's place under one named limit of the configuration. */
export interface LimitTerm {
  /** Of the configuration: `chat`. */
  readonly name: string;
  /** Unique among limits and subjects: keys of the store begin with it. */
  readonly key: string;
  readonly requests: RateLimit | undefined;
  readonly tokens: RateLimit | undefined;
  readonly concurrent: number | undefined;
}

/** What a caller pays from and is limited by. */
export interface CallerTerms {
  /** `principalKey` of the subject. */
  readonly principal: string;
  readonly accounts: readonly PaidAccount[];
  /** Names of the accounts, in order, as the audit log and the history have them. */
  readonly names: readonly string[];
  /** The same sorted, separated by spaces. */
  readonly historyKey: string;
  readonly limits: readonly LimitTerm[];
}

/** What a grant names beside what matches anyway. */
export interface Granted {
  readonly budgets?: readonly string[] | undefined;
  readonly limits?: readonly string[] | undefined;
}

export interface TermsOptions {
  readonly budgets: Readonly<Record<string, BudgetConfig>>;
  readonly limits: Readonly<Record<string, CallerLimitConfig>>;
}

/** The policy in force, which alone says who is in a group. */
export interface Groups {
  selectorsOf(caller: Caller): readonly string[];
}

interface Named<T> {
  readonly name: string;
  readonly per: BudgetSubject;
  readonly match: ReadonlySet<string> | undefined;
  readonly value: T;
}

/** What of the configuration says who pays and how fast; compiled once, asked with every request. */
export class Terms {
  readonly budgets: readonly Budget[];
  readonly #budgets: readonly Named<Budget>[];
  readonly #limits: readonly Named<CallerLimitConfig>[];
  /** Somebody is matched by what only the policy knows. */
  readonly #asksForGroups: boolean;
  /** Callers come again and again: the terms of one are a value by its selectors and what its grant names. */
  readonly #known = new Map<string, Result<CallerTerms, string>>();
  /** The terms by the very objects that they were asked with last, which saves the text of them. */
  readonly #last = new WeakMap<
    Principal,
    Granted & {
      readonly via: Principal | undefined;
      readonly selectors: readonly string[];
      readonly terms: Result<CallerTerms, string>;
    }
  >();

  constructor(options: TermsOptions) {
    this.#budgets = Object.entries(options.budgets).map(([name, config]) => ({
      name,
      per: config.per,
      match: matchOf(config),
      value: budgetOf(name, config),
    }));
    this.#limits = Object.entries(options.limits).map(([name, config]) => ({
      name,
      per: config.per,
      match: matchOf(config),
      value: config,
    }));
    this.budgets = this.#budgets.map(({ value }) => value);
    this.#asksForGroups = [...this.#budgets, ...this.#limits].some(({ match }) =>
      [...(match ?? [])].some((each) => each.startsWith('group:') || each.startsWith('autogroup:')),
    );
  }

  /** Nothing is configured: no request pays or counts. */
  get isEmpty(): boolean {
    return this.#budgets.length === 0 && this.#limits.length === 0;
  }

  /**
   * Every budget and limit that matches the caller, and those that its grant names, once each. Refused, with a sentence for the
   * operator, where one of them counts by something that this caller is not: it would bound nothing.
   */
  of(caller: Caller, granted: Granted, groups: Groups): Result<CallerTerms, string> {
    const selectors = this.#asksForGroups ? groups.selectorsOf(caller) : caller.subject.selectors;
    // One principal asks again and again, mostly by the same rule.
    const last = this.#last.get(caller.subject);
    const { budgets, limits } = granted;
    const isSame =
      last?.via === caller.via &&
      last?.budgets === budgets &&
      last?.limits === limits &&
      last?.selectors === selectors;
    if (last !== undefined && isSame) return last.terms;
    const terms = this.#of(caller, selectors, granted);
    this.#last.set(caller.subject, { via: caller.via, budgets, limits, selectors, terms });
    return terms;
  }

  #of(caller: Caller, selectors: readonly string[], granted: Granted): Result<CallerTerms, string> {
    const key = keyOf(caller, selectors, granted);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const found = this.#find(caller, selectors, granted);
    if (this.#known.size >= knownMax) this.#known.clear();
    this.#known.set(key, found);
    return found;
  }

  #find(
    caller: Caller,
    selectors: readonly string[],
    granted: Granted,
  ): Result<CallerTerms, string> {
    const payer = payerOf(caller);
    const satisfied = satisfiedBy(caller.subject, selectors);
    const missing = [
      ...absent(granted.budgets, this.#budgets, 'budget'),
      ...absent(granted.limits, this.#limits, 'limit'),
    ];
    if (missing[0] !== undefined) return err(missing[0]);
    const accounts: PaidAccount[] = [];
    for (const { value } of applying(this.#budgets, satisfied, granted.budgets)) {
      const keys = accountKeys(value, payer);
      if (!keys.ok) return keys;
      for (const account of keys.value) accounts.push({ account, budget: value });
    }
    const limits: LimitTerm[] = [];
    for (const { name, per, value } of applying(this.#limits, satisfied, granted.limits)) {
      const keys = accountKeys({ name, capacity: 0, per }, payer);
      if (!keys.ok) return err(keys.error.replace(/^budget/, 'limit'));
      for (const key of keys.value) limits.push(termOf(name, key, value));
    }
    const names = accounts.map(({ account }) => account);
    const principal = principalKey(caller.subject);
    return ok({ principal, accounts, names, historyKey: names.toSorted().join(' '), limits });
  }
}

/** Everything that terms depend on, as one text; NUL is in no name. */
function keyOf({ subject, via }: Caller, satisfied: readonly string[], granted: Granted): string {
  const { authority, id, kind, selectors } = subject;
  const carrier = via === undefined ? '' : `${via.kind} ${principalKey(via)}`;
  return `${authority}\0${id}\0${kind}\0${selectors.join('\0')}\0\0${satisfied.join('\0')}\0\0${carrier}\0\0${granted.budgets?.join('\0') ?? ''}\0\0${granted.limits?.join('\0') ?? ''}`;
}

/** Callers whose terms are remembered. */
const knownMax = 50_000;

function absent(
  names: readonly string[] | undefined,
  among: readonly { readonly name: string }[],
  what: string,
): string[] {
  return (names ?? [])
    .filter((name) => !among.some((each) => each.name === name))
    .map((name) => `the grant names ${what} "${name}", which the configuration does not have`);
}

function applying<T>(
  all: readonly Named<T>[],
  satisfied: ReadonlySet<string>,
  named: readonly string[] | undefined,
): readonly Named<T>[] {
  return all.filter(
    ({ name, match }) =>
      named?.includes(name) === true ||
      (match !== undefined && [...match].some((each) => satisfied.has(each))),
  );
}

function matchOf({ match }: { readonly match?: readonly string[] | undefined }) {
  return match === undefined ? undefined : new Set(match.map(canonical));
}

function satisfiedBy(subject: Principal, selectors: readonly string[]): ReadonlySet<string> {
  return new Set([
    '*',
    ...autogroupsOf(subject),
    ...[...subject.selectors, ...selectors].map(canonical),
  ]);
}

/** Logins compare without case, as in the policy. */
function canonical(selector: string): string {
  return selector.includes('@') ? selector.toLowerCase() : selector;
}

function autogroupsOf({ selectors }: Principal): readonly string[] {
  if (selectors.some((each) => each.startsWith('tag:'))) return ['autogroup:tagged'];
  return selectors.some((each) => each.includes('@')) ? ['autogroup:member'] : [];
}

/**
 * Who pays. A user is counted by the name that policy knows it by, so that a person's devices and keys share one account where the
 * configuration says that they are one; unmapped credentials are themselves.
 */
export function payerOf({ subject, via }: Caller): Payer {
  const login = subject.selectors.find((each) => each.includes('@') && !each.includes(':'));
  const isPerson = subject.kind === 'user' || subject.kind === 'operator';
  const user = login ?? (isPerson ? principalKey(subject) : undefined);
  const node = [subject, via].find((each) => each?.kind === 'node');
  const tags = subject.selectors.filter((each) => each.startsWith('tag:'));
  return {
    ...(user === undefined ? {} : { user: safe(user) }),
    ...(node === undefined ? {} : { node: safe(principalKey(node)) }),
    ...(tags.length === 0 ? {} : { tags: tags.map(safe) }),
    ...(subject.kind === 'app' ? { app: safe(subject.id) } : {}),
    ...(subject.kind === 'key' ? { key: safe(subject.id) } : {}),
  };
}

/** Names of accounts are separated by spaces in the history: ids that hold anything unusual are escaped, one to one. */
function safe(id: string): string {
  return id.replaceAll(
    /[^A-Za-z0-9:@._#/+=,~-]/gu,
    (char) => `%${present(char.codePointAt(0), 'a match has a character').toString(16)};`,
  );
}

export function budgetOf(name: string, config: BudgetConfig): Budget {
  const amount = nanoUsdOf(config.usd);
  if (!amount.ok) throw new RangeError(amount.error);
  const capacity = amount.value;
  return {
    name,
    capacity,
    per: config.per,
    ...(config.every === 'never' || capacity === 0
      ? {}
      : { refill: { amount: capacity, every: config.every, style: config.refill } }),
  };
}

const minuteMs = 60_000;

function termOf(name: string, key: string, config: CallerLimitConfig): LimitTerm {
  return {
    name,
    key,
    requests: rateOf(config.requestsPerMinute),
    tokens: rateOf(config.tokensPerMinute),
    concurrent: config.concurrent,
  };
}

/** A minute's worth may come at once; then as much as drains. */
function rateOf(perMinute: number | undefined): RateLimit | undefined {
  if (perMinute === undefined) return undefined;
  // Bursts are kept where backlogs stay exact integers.
  const burst = Math.min(perMinute, 2_000_000_000);
  return { units: perMinute, periodMs: minuteMs, burst };
}

import type { Result, Soon } from '@postern/core/base';
import type { Dialect, DialectName } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { ModelInfo } from '@postern/core/routing';
import type { CallSignal, OutboundAnswer } from '../http/index.ts';
import type { Settlement } from '../observe/index.ts';
import type { ProviderRules } from './fleet/rules.ts';

/** One request to a provider, already in a format that it speaks. */
export interface ProviderCall {
  readonly dialect: Dialect;
  /** Below the provider's base URL. */
  readonly path: string;
  readonly body: string;
  /** The same, where it goes on as it came. */
  readonly bytes?: Uint8Array | undefined;
  /** Headers of the caller that its format needs (`anthropic-version`, `anthropic-beta`). Never credentials. */
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: CallSignal;
  /** One of `Provider.endpoints()`; absent where a provider has one place only. */
  readonly endpoint?: string | undefined;
}

/** Where models run. One adapter for each kind. */
export interface Provider {
  readonly id: string;
  /** The formats that it speaks, the preferred one first. */
  readonly dialects: readonly DialectName[];
  /** The order for one model and a caller's format, where it differs: the nearest format loses the least. */
  dialectsFor?(model: string, own: DialectName): readonly DialectName[];
  /** Any model name may be sent on. */
  readonly sendsUnlisted: boolean;
  /** What answers has proved which code it runs. Absent: nothing was proved. */
  readonly attested?: boolean;
  /** Does it count tokens itself (Messages API)? */
  readonly countsTokens: boolean;
  /** For people: the host, without credentials. */
  readonly place: string;
  /** How it is used when it is busy, failing or asleep. Absent: no bounds and no repetitions. */
  readonly rules?: ProviderRules;
  /** Where it runs now, for providers with more than one place or with places that come and go. */
  endpoints?(): readonly string[];
  list(signal: AbortSignal): Promise<Result<readonly ModelInfo[], Refusal>>;
  /** Does this place answer? Absent: `list` says so. */
  check?(endpoint: string, signal: AbortSignal): Promise<Result<undefined, Refusal>>;
  call(call: ProviderCall): Soon<Result<OutboundAnswer, Refusal>>;
}

export interface AccessQuery {
  readonly caller: Caller;
  /** The alias or `provider/model` that the asked name resolved to. */
  readonly model: string;
  readonly dialect: DialectName;
  readonly maxOutputTokens: number | undefined;
  /** Every target that may answer is attested. */
  readonly attested: boolean;
}

/** What the access policy says. `id` finds the decision again in records and in `explain`. */
export type AccessDecision =
  | {
      readonly allowed: true;
      readonly id: string;
      /** The rule that allowed, as a person finds it in the file. */
      readonly rule: string;
      /** The cap of the rule, where it has one. */
      readonly maxOutputTokens: number | undefined;
      /** Names of limits and budgets of the configuration that the rule charges; absent: none. */
      readonly limits?: readonly string[];
      readonly budgets?: readonly string[];
      /** Absent: nothing of the conversation is kept. */
      readonly capture?: 'none' | 'full';
    }
  | {
      readonly allowed: false;
      readonly id: string;
      /**
       * `no-policy`: nothing is in force (403). `nothing`: no grant at all (403). `unmapped`: nor could there be one,
       * since the configuration maps this caller to nothing (403). `attestation`: the model, but not on what serves it
       * now (403). `model`: other models, not this one (404).
       */
      readonly why: 'no-policy' | 'nothing' | 'unmapped' | 'model' | 'attestation' | 'output-limit';
    };

/** Who may call which model: the policy in force, and nothing beside it. */
export interface AccessPolicy {
  decide(query: AccessQuery): AccessDecision;
  /** May this caller see and call this name at all (lists)? `attested`: every target that may answer is. */
  mayUse(caller: Caller, model: string, attested: boolean): boolean;
  /** Every selector of the policy that this caller satisfies, its groups too; the same list until something changes. */
  selectorsOf(caller: Caller): readonly string[];
  /** May this caller use this operation of the admin API? */
  mayAdminister(caller: Caller, operation: string): boolean;
}

export type { Outcome, Settlement } from '../observe/index.ts';

/** Takes every settlement: access log, audit, metrics. Must not throw and must not block. */
export type Recorder = (settlement: Settlement) => void;

export interface GatewayClock {
  nowMs(): number;
  /** For spans of time below a millisecond; absent: `nowMs`. */
  monotonicMs?(): number;
  /** Calls back once after `ms` unless cleared; never keeps the process alive. */
  after(ms: number, callback: () => void): { clear(): void };
}

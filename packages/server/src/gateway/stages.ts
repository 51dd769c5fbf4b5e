import type { Result } from '@postern/core/base';
import type {
  Conversation,
  Dialect,
  GlancedRequest,
  BilledApart,
  Usage,
} from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { Target } from '@postern/core/routing';
import type { HttpReply, HttpRequest, OutboundAnswer } from '../http/index.ts';
import type { RequestTrace } from '../observe/trace/index.ts';
import type { Opening } from './opening.ts';
import type { Relayed } from './relayed.ts';
import type { Purse } from './money/purse.ts';
import type { Provider } from './ports.ts';
import type { GatewayView } from './view.ts';

/**
 * The stages of a request. Each is wider than the one before and can be made only by its own stage, so a later
 * stage cannot be called without the earlier one's proof.
 *
 * accept ► identify ► decode ► admit ► route ► dispatch ► relay ► settle ► record
 */

/** Framed, bounded, addressed to us; the view is the one that it keeps to its end. */
export interface Accepted {
  readonly request: HttpRequest;
  readonly reply: HttpReply;
  readonly view: GatewayView;
}

export interface Identified extends Accepted {
  readonly caller: Caller;
  /** Where this request is traced. */
  readonly trace?: RequestTrace | undefined;
}

export interface Decoded extends Identified {
  /** The caller's format: answers and errors go out in it. */
  readonly dialect: Dialect;
  /** The body as it came. */
  readonly text: string;
  readonly conversation: Conversation;
  /** Where the body was of the plain shape. */
  readonly glanced?: Glanced | undefined;
}

/** A small body of the plain shape. */
export interface Glanced {
  readonly request: GlancedRequest;
  /** As it came. */
  readonly bytes: Uint8Array;
}

/** Proof that the policy admitted this request. Only `admit` makes one. */
export interface Permit {
  readonly decisionId: string;
  readonly rule: string;
  /** The name that was allowed: the alias or `provider/model`. */
  readonly model: string;
  /** The cap to send upstream where the caller sent none. */
  readonly maxOutputTokens: number;
  /** The grant says to keep the conversation; absent: nothing of it is kept. */
  readonly capture?: 'full' | undefined;
  /** Names of limits and budgets that the rule charges. */
  readonly limits?: readonly string[] | undefined;
  readonly budgets?: readonly string[] | undefined;
}

export interface Admitted extends Decoded {
  readonly permit: Permit;
  /** What the permitted name stands for; in order, never empty. */
  readonly targets: readonly Target[];
  /** What pays for the attempts; absent where nothing counts money or limits. */
  readonly purse?: Purse | undefined;
}

export interface Attempt {
  readonly target: Target;
  readonly provider: Provider;
  /** Which of the provider's places; empty where it has one. */
  readonly endpoint: string;
  /** The format spoken to the provider; the caller's own means that bytes pass through. */
  readonly dialect: Dialect;
}

export interface Routed extends Admitted {
  readonly attempts: readonly Attempt[];
}

/** An upstream answered with success; nothing of it was read yet. */
export interface Dispatched extends Routed {
  readonly attempt: Attempt;
  readonly answer: OutboundAnswer;
  /** Attempts made, this one included. */
  readonly tries: number;
  /** The caller's stream, open already where waiting took long. */
  readonly opening: Opening;
  /** Gives the place at the target back and tells how it went. Called once, whatever happened. */
  readonly leave: (ended: Result<Relayed, Refusal> | undefined) => void;
}

/**
 * What the model gave and what of it went to the caller. Written while the answer goes out, so that a request which
 * ends in a fault is settled from it like any other.
 */
export interface Delivery {
  /** As the upstream reported it, so far. */
  usage: Usage | undefined;
  /** Characters of text, thinking and arguments. */
  chars: number;
  /** What a stream told of beside its tokens, whether or not it came to its end. */
  apart: BilledApart | undefined;
  firstByteMs: number | undefined;
  /** Spent in queues, on machines that wake and before repetitions. */
  waitedMs: number;
  /** From each request to a model server to the end of its answer, all attempts. */
  upstreamMs: number;
}

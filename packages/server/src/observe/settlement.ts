import type { Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpRequest } from '../http/index.ts';

export type Outcome = 'complete' | 'refused' | 'aborted' | 'failed';

/** The trace of a request, as far as its end is concerned. */
export interface SettledTrace {
  readonly traceId: string;
  settled(settlement: Settlement): void;
}

/** What became of one request: made once, also when the client left. */
export interface Settlement {
  readonly request: HttpRequest;
  readonly caller: Caller | undefined;
  readonly dialect: string | undefined;
  /** As asked, then as resolved, then where it ran. */
  readonly asked: string | undefined;
  readonly model: string | undefined;
  readonly target: string | undefined;
  /** What `postern policy explain --decision` takes, whether it allowed or refused. */
  readonly decisionId: string | undefined;
  /** `policy.hujson:7`: the object that allowed. */
  readonly rule: string | undefined;
  readonly outcome: Outcome;
  readonly refusal: Refusal | undefined;
  readonly attempts: number;
  readonly usage: Usage | undefined;
  /** Counted by us where the upstream did not say. */
  readonly estimated: boolean;
  /** Of all attempts, nano-USD; absent where nothing counts money. */
  readonly cost?: number | undefined;
  /** The accounts that each paid it. */
  readonly accounts?: readonly string[] | undefined;
  /** The conversation, only where the grant says `capture: "full"`. For the encrypted store alone: never logged. */
  readonly content?: { readonly request: string; readonly answer: string } | undefined;
  readonly status: number;
  readonly bytes: number;
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
  /** Of it, what was spent in queues, on machines that wake and before repetitions. */
  readonly waitedMs?: number | undefined;
  /** What the gateway itself took, where a model was asked: neither the model's time nor the waits. */
  readonly ownMs?: number | undefined;
  /** Where this request is traced. */
  readonly trace?: SettledTrace | undefined;
}

import type { Usage } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { HttpRequest } from '../http/index.ts';

export type Outcome = 'complete' | 'refused' | 'aborted' | 'failed';

/** What became of one request: made once, also when the client left. */
export interface Settlement {
  readonly request: HttpRequest;
  readonly caller: Caller | undefined;
  readonly dialect: string | undefined;
  /** As asked, then as resolved, then where it ran. */
  readonly asked: string | undefined;
  readonly model: string | undefined;
  readonly target: string | undefined;
  readonly decisionId: string | undefined;
  readonly outcome: Outcome;
  readonly refusal: Refusal | undefined;
  readonly attempts: number;
  readonly usage: Usage | undefined;
  /** Counted by us where the upstream did not say. */
  readonly estimated: boolean;
  readonly status: number;
  readonly bytes: number;
  readonly firstByteMs: number | undefined;
  readonly durationMs: number;
}

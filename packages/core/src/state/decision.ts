import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { StateEvent } from './command.ts';
import type { Author } from './model.ts';

/** What a decision may know besides the state: the time, fresh ids, and who asks. */
export interface DecideContext {
  readonly nowMs: number;
  /** A new identifier on every call: letters and digits, never given out before. */
  readonly newId: () => string;
  readonly author: Author;
}

export type Decision = Result<readonly StateEvent[], Refusal>;

import type { Refusal } from '@postern/core/errors';

/** How the answer ended. */
export interface Relayed {
  readonly outcome: 'complete' | 'aborted' | 'failed';
  readonly refusal: Refusal | undefined;
}

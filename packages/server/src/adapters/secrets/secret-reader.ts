import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';

/** Gives a secret as it stands now: a file that was rotated is read again without a restart. */
export type SecretReader = () => Promise<Result<Secret, Refusal>>;

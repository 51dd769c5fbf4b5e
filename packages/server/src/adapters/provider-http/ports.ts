import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';

/** Gives the credential as it stands now. */
export type SecretReader = () => Promise<Result<Secret, Refusal>>;

import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { OutboundProxy } from '../../http/index.ts';

/** Gives the credential as it stands now. */
export type SecretReader = () => Promise<Result<Secret, Refusal>>;

/** Gives the extra authorities as they stand now, as PEM. */
export type AuthoritiesReader = () => Promise<string>;

/** Gives the proxy on the way to an address; undefined: straight there. */
export type WayReader = (url: URL) => Promise<Result<OutboundProxy | undefined, Refusal>>;

import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { IdentityMap } from '@postern/core/identity';
import type { CredentialAuthenticator } from '../gateway/index.ts';
import type { DeploymentSurroundings } from './deployment.ts';

/** The verifier of the configured issuers' tokens; undefined where none is configured. */
export function createTokenAuthenticator(
  config: Config,
  _identityMap: IdentityMap,
  _surroundings: DeploymentSurroundings,
): Promise<Result<CredentialAuthenticator | undefined, string>> {
  if (config.identities.issuers.length === 0) return Promise.resolve(ok(undefined));
  throw new Error('wired when the verifier lands');
}

import { ok } from '@postern/core/base';
import { refuse } from '@postern/core/errors';
import { judgeOperator } from '@postern/core/identity';
import type { Principal } from '@postern/core/identity';
import type { OperatorAuthenticator } from '../../gateway/identity-ports.ts';
import type { OperatorFactsReader } from './facts.ts';

export interface OperatorOptions {
  readonly facts: OperatorFactsReader;
  readonly owner: Principal;
  readonly hasConfigFile: boolean;
  /** `trustLoopback` of the configuration file. */
  readonly trustLoopback: boolean;
}

/** The user that runs this process, as a principal. `name` is for people, `selectors` what it is for policy. */
export function ownerPrincipal(
  uid: number | undefined,
  name: string,
  selectors: readonly string[],
): Principal {
  return {
    authority: 'local',
    id: uid === undefined ? `user:${name}` : `uid:${uid}`,
    kind: 'operator',
    display: name,
    selectors,
  };
}

/** Decides whether a loopback caller is the person who started this process. Without evidence from accept it is not. */
export function createOperatorAuthenticator(options: OperatorOptions): OperatorAuthenticator {
  return async (request) => {
    const judged = judgeOperator(
      {
        peerAddress: request.peer.address,
        localOwner: request.evidence?.localOwner ?? {
          ours: false,
          why: 'nobody looked at the other end of the connection',
        },
        sawForwarding: request.sawForwarding,
        sawIdentityHeaders: request.sawIdentityHeaders,
        hasConfigFile: options.hasConfigFile,
        trustLoopback: options.trustLoopback,
      },
      await options.facts(),
    );
    return judged.ok ? ok(options.owner) : refuse('local_operator_refused', judged.error);
  };
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type {
  AttestedInvitation,
  AttestedJoinOptions,
} from '../../adapters/attested-join/index.ts';
import { bindNode, joinByEvidence } from '../../adapters/attested-join/index.ts';
import { DstackAgent, parseAddress } from '../../adapters/attestor-dstack/index.ts';
import { createLazyEgress } from '../egress.ts';
import { agentHere, evidenceOf } from './identity.ts';

export interface AttestedCall {
  readonly server: URL;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Socket or address of the guest agent; undefined: where dstack's own clients look. */
  readonly agent: string | undefined;
  readonly signal: AbortSignal;
}

/** A key of the network for evidence of this machine. Its node waits until `attestedBind`. */
export function attestedKey(
  call: AttestedCall,
  name: string,
): Promise<Result<AttestedInvitation, string>> {
  return withAgent(call, (options) => joinByEvidence(options, name));
}

/** Binds this machine's node key (`nodekey:…`), which lets its node in. */
export function attestedBind(
  call: AttestedCall,
  nodeKey: string,
): Promise<Result<{ readonly node: string }, string>> {
  return withAgent(call, (options) => bindNode(options, nodeKey));
}

async function withAgent<T>(
  { server, env, agent, signal }: AttestedCall,
  use: (options: AttestedJoinOptions) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  const found = agentOf(agent, env);
  if (!found.ok) return found;
  const prove: AttestedJoinOptions['prove'] = (reportData, ended) =>
    evidenceOf(found.value, reportData, ended);
  const egress = createLazyEgress();
  try {
    return await use({ server, prove, egress: egress.egress, signal });
  } finally {
    await egress.close();
  }
}

function agentOf(place: string | undefined, env: AttestedCall['env']): Result<DstackAgent, string> {
  if (place === undefined) {
    const here = agentHere(env);
    return here === undefined ? err('there is no guest agent here; name its socket') : ok(here);
  }
  const address = parseAddress(place);
  return address === undefined
    ? err(`${place} is no address of an agent`)
    : ok(new DstackAgent({ address }));
}

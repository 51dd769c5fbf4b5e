import { err, ok, type Result } from '@postern/core/base';
import { dialPeer, judgeChain, type Protocol } from './handshake.ts';
import type { Judge } from './judge.ts';
import type { OwnIdentity } from './own-identity.ts';
import { refusalText } from './peer.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type { Candidate, MeshAddress } from './ports.ts';

/** Who we are to a peer that believes what we believe. A text: nobody of that kind would believe us. */
export async function selfOf(
  judge: Judge,
  identity: OwnIdentity,
): Promise<Result<PeerIdentity, string>> {
  const credential = identity.current();
  if (credential === undefined) return err('our own certificate has ended');
  const judged = await judgeChain(judge, credential.chain, 'server');
  return judged.ok ? judged : err(refusalText(judged.error));
}

/** Calls ourselves by a way that leads to apps: undefined where it is really we who answer at its end. */
export async function probeSelf(
  judge: Judge,
  identity: OwnIdentity,
  way: {
    readonly port: number;
    readonly protocol: Protocol;
    readonly candidateOf: (address: MeshAddress) => Candidate;
  },
): Promise<Result<void, string>> {
  const credential = identity.current();
  const self = await selfOf(judge, identity);
  if (!self.ok) return self;
  const { appId, instanceId } = self.value;
  if (credential === undefined || appId === undefined) return err('our certificate names no app');
  const address = { appId, instanceId, port: way.port };
  const dialed = await dialPeer(judge, {
    candidate: way.candidateOf(address),
    target: address,
    protocol: way.protocol,
    credential,
  });
  if (dialed.ok) {
    dialed.value.socket.destroy();
    return ok(undefined);
  }
  const { error } = dialed;
  return err(error.kind === 'refused' ? refusalText(error.refusal) : error.message);
}

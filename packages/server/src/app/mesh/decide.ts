import type { IdentityMapping } from '@postern/core/contract';
import type { Principal } from '@postern/core/identity';
import { createIdentityMap } from '@postern/core/identity';
import { GatewayAccess, parsePolicyText } from '@postern/core/policy';
import type { DecideMesh, MeshAnswer, PeerIdentity } from '../../mesh/index.ts';
import { policyName } from '../../mesh/index.ts';

/** A policy that is in force: its text, and how decisions name it. */
export interface MeshPolicy {
  readonly text: string;
  readonly revision: string;
}

/** A peer, and what was decided about it under one policy. */
interface KnownPeer {
  readonly principal: Principal;
  readonly answers: Map<string, MeshAnswer>;
}

/** Questions of one peer whose answers are kept: paths are its own text. */
const answersMax = 256;

interface Compiled {
  readonly policy: MeshPolicy;
  readonly mappings: readonly IdentityMapping[];
  readonly access: GatewayAccess;
  readonly known: WeakMap<PeerIdentity, KnownPeer>;
}

/**
 * The policy file behind the mesh's doors. Peers are principals of the authority `app`; which selectors they satisfy, the
 * configuration's `identities.map` says. Without a policy nobody may anything.
 */
export function createMeshDecider(source: {
  readonly policy: () => MeshPolicy | undefined;
  readonly mappings: () => readonly IdentityMapping[];
}): DecideMesh {
  let compiled: Compiled | undefined;
  const current = (): Compiled | undefined => {
    const policy = source.policy();
    const mappings = source.mappings();
    if (policy === undefined) return undefined;
    const isSame =
      compiled?.mappings === mappings &&
      compiled.policy.revision === policy.revision &&
      compiled.policy.text === policy.text;
    if (isSame) return compiled;
    const { file, refusal } = parsePolicyText(policy.text);
    if (refusal !== undefined) return undefined;
    const access = new GatewayAccess(file, { revision: policy.revision, point: undefined });
    compiled = { policy, mappings, access, known: new WeakMap() };
    return compiled;
  };
  return ({ peer, port, method, path }) => {
    const now = current();
    if (now === undefined) return { allowed: false, id: 'none', reason: 'no policy is in force' };
    const known = knownPeer(now, peer);
    const question = `${port} ${method ?? ''} ${path ?? ''}`;
    const before = known.answers.get(question);
    if (before !== undefined) return before;
    const ask = { app: known.principal.id, port, method, path };
    const decision = now.access.accessOf(known.principal).decideMesh(ask);
    const answer: MeshAnswer = decision.allowed
      ? { allowed: true, id: decision.id }
      : { allowed: false, id: decision.id, reason: decision.reason };
    if (known.answers.size >= answersMax) known.answers.clear();
    known.answers.set(question, answer);
    return answer;
  };
}

function knownPeer({ known, mappings }: Compiled, peer: PeerIdentity): KnownPeer {
  const before = known.get(peer);
  if (before !== undefined) return before;
  const fresh = { principal: principalOf(policyName(peer), mappings), answers: new Map() };
  known.set(peer, fresh);
  return fresh;
}

function principalOf(app: string, mappings: readonly IdentityMapping[]): Principal {
  return {
    authority: 'app',
    id: app,
    kind: 'app',
    display: app,
    selectors: createIdentityMap(mappings).appSelectors(app),
  };
}

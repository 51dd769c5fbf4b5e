import type { Result, Soon } from '@postern/core/base';
import { andThen, assert, err, ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller, PresentedToken, Principal } from '@postern/core/identity';
import { isLoopbackAddress, judgeBinding, presentedTokens } from '@postern/core/identity';
import { parseAddr, unmap, formatAddr, isV4 } from '@postern/core/base/netip';
import type { HttpRequest, ListenerKind, Peer } from '../http/index.ts';
import { ByPeer } from '../http/index.ts';
import { FailureLimit, sourceOf } from './failure-limit.ts';
import type {
  CredentialAuthenticator,
  NetworkIdentity,
  OperatorAuthenticator,
  ServeAuthenticator,
  VerifiedCredential,
  Whois,
} from './identity-ports.ts';

export interface IdentifyOptions {
  readonly keys: CredentialAuthenticator;
  /** Tokens of configured issuers. */
  readonly tokens?: CredentialAuthenticator;
  /** The local tailscaled, where there is one. */
  readonly whois?: Whois;
  /** The engine's API, for callers behind a subnet router. */
  readonly routedWhois?: Whois;
  readonly serve?: ServeAuthenticator;
  readonly operator?: OperatorAuthenticator;
  /** Who owns the control socket: the user that runs this process. */
  readonly owner: Principal;
  /** Our own addresses on the mesh, now; empty while the local tailscaled does not run. Without them no remote address counts. */
  readonly tailnetAddresses?: () => readonly string[];
  /** `publicEdge.funnel`: keys and tokens count on requests that come through Tailscale Funnel. */
  readonly acceptFunnel?: boolean;
}

/** At once where nobody has to be asked. */
export type Identify = (request: HttpRequest) => Soon<Result<Caller, Refusal>>;

/** How the callers of a listener may be known. */
interface Trust {
  /** Where a network identity comes from. */
  readonly network: 'none' | 'peer' | 'tailnet' | 'routed' | 'serve' | 'owner';
  /** A credential alone is not enough: who is unknown to the network stays out. */
  readonly needsNetwork: boolean;
  readonly keys: boolean;
  readonly tokens: boolean;
  /** The person at this machine may call without a credential. */
  readonly operator: boolean;
}

/** The listeners' table: one row each, one kind of trust each. Rows that are absent do not identify HTTP callers this way. */
const trustOf: Readonly<Partial<Record<ListenerKind, Trust>>> = Object.freeze({
  gateway: { network: 'peer', needsNetwork: false, keys: true, tokens: true, operator: true },
  serve: { network: 'serve', needsNetwork: true, keys: true, tokens: true, operator: false },
  tailnet: { network: 'tailnet', needsNetwork: true, keys: true, tokens: true, operator: false },
  routed: { network: 'routed', needsNetwork: true, keys: true, tokens: true, operator: false },
  public: { network: 'none', needsNetwork: false, keys: true, tokens: true, operator: false },
  'control-socket': {
    network: 'owner',
    needsNetwork: true,
    keys: true,
    tokens: true,
    operator: false,
  },
  control: { network: 'none', needsNetwork: false, keys: true, tokens: false, operator: false },
  admin: { network: 'peer', needsNetwork: false, keys: true, tokens: true, operator: false },
});

/** What the network says about a request. */
type Network =
  | { readonly kind: 'known'; readonly identity: NetworkIdentity }
  /** `why` completes the sentence for the caller. */
  | { readonly kind: 'unknown'; readonly why: string }
  | { readonly kind: 'funnel' };

const unidentified =
  'Nothing identifies you. Join the private network, or send a key made with `postern key create` as "Authorization: Bearer pst_…".';

/**
 * The identify stage: who is asking, by the rules of the listener that the request came in on. One valid credential
 * is the subject and the network principal that carried it is `via`; without a credential the network principal
 * (or the local operator) is the subject. A credential that claims to be ours must verify. A foreign one is ignored
 * where the caller is known anyway. What cannot be judged now is 503, never 401.
 */
export function createIdentify(options: IdentifyOptions): Identify {
  const failures = new FailureLimit();
  // Marks what this one found out: after a reload another one judges.
  const judge = {};
  const judging = { ...options, judge };
  const judged = (
    request: HttpRequest,
    result: Result<Caller, Refusal>,
  ): Result<Caller, Refusal> => {
    if (result.ok || !isCallersFault(result.error)) return result;
    const limited = failures.failed(failureSource(request), request.receivedAtMs);
    return limited === undefined ? result : err(limited);
  };
  return (request) => {
    const trust = present(trustOf[request.listener], `a row of trust for ${request.listener}`);
    const again = request.headers.memo;
    if (again instanceof Known && again.holdsFor(judge, request.receivedAtMs))
      return withVerified(request, trust, options, again);
    const claimed = claimedToken(request, trust, options);
    if (!claimed.ok) return judged(request, claimed);
    const { claim, isForeign } = claimed.value;
    const found =
      claim === undefined
        ? withoutCredential(request, trust, options, isForeign)
        : withCredential(request, trust, judging, claim);
    return found.then((result) => judged(request, result));
  };
}

/**
 * A credential, kept with the head in which it stood: what a connection sends in the very same head again is not
 * verified again, for as long as it would verify to the same. Nothing is kept of a head that is gone.
 */
class Known {
  readonly verified: VerifiedCredential;
  /** It counts only for who comes from certain places of the network. */
  readonly isBound: boolean;
  readonly #judge: object;
  #alone: Result<Caller, Refusal> | undefined;

  constructor(verified: VerifiedCredential, judge: object) {
    this.verified = verified;
    this.isBound = (verified.boundTo?.length ?? 0) > 0;
    this.#judge = judge;
  }

  holdsFor(judge: object, nowMs: number): boolean {
    return this.#judge === judge && this.verified.stillHolds?.(nowMs) === true;
  }

  /** The caller that it is without any network identity, which never changes. */
  get alone(): Result<Caller, Refusal> {
    return (this.#alone ??= ok(newCaller(this.verified, undefined)));
  }
}

/** Wrong credentials count; a caller who sends none has guessed nothing. */
function isCallersFault(refusal: Refusal): boolean {
  return (
    refusal.code === 'credential_invalid' ||
    refusal.code === 'credential_expired' ||
    refusal.code === 'credential_revoked'
  );
}

function failureSource(request: HttpRequest): string {
  const address =
    request.listener === 'serve' ? request.headers.get('x-forwarded-for') : request.clientAddress;
  return `${request.listener} ${sourceOf(address ?? request.peer.address ?? '')}`;
}

interface Claim {
  readonly token: string;
  readonly authenticator: CredentialAuthenticator;
}

/** The one credential that claims to be of a kind that this listener takes. */
function claimedToken(
  request: HttpRequest,
  trust: Trust,
  options: IdentifyOptions,
): Result<{ readonly claim: Claim | undefined; readonly isForeign: boolean }, Refusal> {
  const presented = presentedTokens((name) => request.headers.get(name));
  if (!presented.ok) return presented;
  const claims = presented.value.flatMap((one) => claimOf(one, trust, options) ?? []);
  if (claims.length > 1) {
    return refuse(
      'credential_invalid',
      'The request carries two different credentials. Send one of them.',
    );
  }
  return ok({ claim: claims[0], isForeign: presented.value.length > 0 });
}

function claimOf(
  presented: PresentedToken,
  trust: Trust,
  options: IdentifyOptions,
): Claim | undefined {
  const token = presented.token;
  if (trust.keys && options.keys.claims(token)) return { token, authenticator: options.keys };
  const tokens = trust.tokens ? options.tokens : undefined;
  return tokens?.claims(token) === true ? { token, authenticator: tokens } : undefined;
}

async function withCredential(
  request: HttpRequest,
  trust: Trust,
  options: IdentifyOptions & { readonly judge: object },
  claim: Claim,
): Promise<Result<Caller, Refusal>> {
  const verified = await claim.authenticator.verify(claim.token, request.receivedAtMs);
  if (!verified.ok) return verified;
  const known = new Known(verified.value, options.judge);
  request.headers.memo = known;
  return withVerified(request, trust, options, known);
}

/** What the network says of an address may change between two requests, so it is asked for each. */
function withVerified(
  request: HttpRequest,
  trust: Trust,
  options: IdentifyOptions,
  known: Known,
): Soon<Result<Caller, Refusal>> {
  if (asksNobody(trust, options)) {
    if (!known.isBound) return known.alone;
    return judgeVerified(trust, options, known, nobodyAsked);
  }
  return andThen(networkOf(request, trust, options), (network) =>
    judgeVerified(trust, options, known, network),
  );
}

function judgeVerified(
  trust: Trust,
  options: IdentifyOptions,
  known: Known,
  network: Result<Network, Refusal>,
): Result<Caller, Refusal> {
  const { verified } = known;
  const needsNetwork = trust.needsNetwork || known.isBound;
  if (!network.ok) return needsNetwork ? network : known.alone;
  const via = network.value;
  if (via.kind === 'funnel' && options.acceptFunnel !== true) return refuseFunnel();
  if (via.kind === 'unknown' && trust.needsNetwork) return refuseUnknown(via.why, false);
  const identity = via.kind === 'known' ? via.identity : undefined;
  const bound = judgeBinding(verified.boundTo ?? [], identity?.principal);
  if (!bound.ok) return bound;
  return identity === undefined ? known.alone : ok(newCaller(verified, identity));
}

const nobodyAsked: Result<Network, Refusal> = ok(
  Object.freeze({ kind: 'unknown', why: '' } satisfies Network),
);

/** Nothing but the credential decides who calls here. */
function asksNobody({ network, needsNetwork }: Trust, { whois }: IdentifyOptions): boolean {
  const asks = network === 'peer' && whois !== undefined;
  return !needsNetwork && !asks && (network === 'none' || network === 'peer');
}

function newCaller(credential: VerifiedCredential, network: NetworkIdentity | undefined): Caller {
  return {
    subject: credential.subject,
    ...(network === undefined ? {} : { via: network.principal }),
    ...(network?.capabilities === undefined ? {} : { networkCapabilities: network.capabilities }),
    ...(credential.scope === undefined ? {} : { scope: credential.scope }),
    ...(credential.expiresAtMs === undefined ? {} : { expiresAtMs: credential.expiresAtMs }),
  };
}

async function withoutCredential(
  request: HttpRequest,
  trust: Trust,
  options: IdentifyOptions,
  isForeign: boolean,
): Promise<Result<Caller, Refusal>> {
  const network = await networkOf(request, trust, options);
  if (network.ok && network.value.kind === 'known') {
    const { principal, capabilities } = network.value.identity;
    return ok({
      subject: principal,
      ...(capabilities === undefined ? {} : { networkCapabilities: capabilities }),
    });
  }
  if (network.ok && network.value.kind === 'funnel' && options.acceptFunnel !== true)
    return refuseFunnel();
  if (trust.operator && options.operator !== undefined && isLoopbackAddress(request.peer.address)) {
    const operator = await options.operator(request);
    // The operator calls models and nothing else; administration takes the control socket.
    if (operator.ok) return ok({ subject: operator.value, scope: { admin: false } });
    return network.ok ? operator : network;
  }
  if (!network.ok) return network;
  return refuseUnknown(network.value.kind === 'unknown' ? network.value.why : '', isForeign);
}

function refuseFunnel(): Result<never, Refusal> {
  return refuse(
    'access_denied',
    'This request came through Tailscale Funnel, from the public internet, and this gateway does not take such requests (publicEdge.funnel is not set).',
  );
}

function refuseUnknown(why: string, isForeign: boolean): Result<never, Refusal> {
  const start = why === '' ? '' : `${why} `;
  return isForeign
    ? refuse(
        'credential_invalid',
        `${start}The key that you sent is not one of this gateway (those begin with pst_), nor a token of an issuer that it knows. ${unidentified}`,
      )
    : refuse('credential_missing', `${start}${unidentified}`);
}

function networkOf(
  request: HttpRequest,
  trust: Trust,
  options: IdentifyOptions,
): Soon<Result<Network, Refusal>> {
  switch (trust.network) {
    case 'none':
      return nobodyAsked;
    case 'owner':
      return ok({ kind: 'known', identity: { principal: options.owner } });
    case 'serve':
      return serveIdentity(request, options);
    case 'peer':
      // A userspace tailscaled dials from loopback; anybody else's address counts only where it arrived on the mesh.
      return factsOf(request.peer).isLoopback || arrivedOnTailnet(request, options)
        ? askWhois(request, options.whois, '')
        : nobodyAsked;
    case 'tailnet':
      if (!arrivedOnTailnet(request, options))
        return ok({
          kind: 'unknown',
          why: 'The connection did not arrive at this node’s address on the private network.',
        });
      return askWhois(request, options.whois, 'The private network does not know your address.');
    case 'routed':
      return askWhois(
        request,
        options.routedWhois,
        'The private network does not know your address.',
      );
  }
}

async function serveIdentity(
  request: HttpRequest,
  options: IdentifyOptions,
): Promise<Result<Network, Refusal>> {
  assert(options.serve !== undefined, 'a serve listener has its authenticator');
  const said = await options.serve(request);
  if (!said.ok) return said;
  return said.value.kind === 'unknown'
    ? ok({ kind: 'unknown', why: '`tailscale serve` does not name you.' })
    : ok(said.value);
}

function askWhois(
  request: HttpRequest,
  whois: Whois | undefined,
  why: string,
): Soon<Result<Network, Refusal>> {
  const address = whois === undefined ? undefined : factsOf(request.peer).address;
  if (whois === undefined || address === undefined) return unknownTo(why);
  return andThen(whois(address), (found) => {
    if (!found.ok) return found;
    return found.value === undefined
      ? unknownTo(why)
      : ok({ kind: 'known', identity: found.value });
  });
}

function unknownTo(why: string): Result<Network, Refusal> {
  return why === '' ? nobodyAsked : ok({ kind: 'unknown', why });
}

/** What the address of a connection says; it has one peer for all its requests. */
interface PeerFacts {
  readonly isLoopback: boolean;
  readonly address: string | undefined;
}

const peers = new ByPeer<PeerFacts>();

function factsOf(peer: Peer): PeerFacts {
  let facts = peers.get(peer);
  if (facts === undefined) {
    facts = { isLoopback: isLoopbackAddress(peer.address), address: addressAndPort(peer) };
    peers.set(peer, facts);
  }
  return facts;
}

/** The peer with its port: in userspace mode tailscaled knows its re-dialled peers only by both. */
function addressAndPort({ address, port }: Peer): string | undefined {
  if (address === undefined || port === undefined) return undefined;
  const parsed = parseAddr(address);
  if (!parsed.ok) return undefined;
  const addr = unmap(parsed.value);
  return isV4(addr) ? `${formatAddr(addr)}:${port}` : `[${formatAddr(addr)}]:${port}`;
}

/** The socket's own end is one of our addresses on the mesh. */
function arrivedOnTailnet(request: HttpRequest, options: IdentifyOptions): boolean {
  const local = canonical(request.peer.localAddress);
  if (local === undefined) return false;
  return (options.tailnetAddresses?.() ?? []).some((ours) => canonical(ours) === local);
}

function canonical(address: string | undefined): string | undefined {
  if (address === undefined) return undefined;
  const parsed = parseAddr(address);
  return parsed.ok ? formatAddr(unmap(parsed.value)) : undefined;
}

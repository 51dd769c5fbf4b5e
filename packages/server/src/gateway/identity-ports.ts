import type { Result, Soon } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Caller, CredentialScope, Principal } from '@postern/core/identity';
import type { HttpRequest } from '../http/index.ts';

/** A credential that verified. */
export interface VerifiedCredential {
  readonly subject: Principal;
  readonly scope?: CredentialScope | undefined;
  /** When the proof ends, epoch ms. */
  readonly expiresAtMs?: number | undefined;
  /** Selectors or principal keys of the network principals that may carry it; absent or empty: anybody. */
  readonly boundTo?: readonly string[] | undefined;
  /** Would the same text verify to the same now? Absent: only a new verification can tell. */
  readonly stillHolds?: ((nowMs: number) => boolean) | undefined;
}

/** One kind of credential: keys of ours, or tokens of configured issuers. */
export interface CredentialAuthenticator {
  /** Does this text claim to be of this kind? What claims must verify; what nobody claims is foreign. */
  claims(token: string): boolean;
  /** A refusal of the caller is a `credential_*` code; anything else says that the proof could not be judged now. */
  verify(token: string, nowMs: number): Promise<Result<VerifiedCredential, Refusal>>;
}

/**
 * Who has this address on the mesh: `100.64.0.2`, `100.64.0.2:51234`, `[fd7a:115c:a1e0::2]:51234`. Undefined: nobody.
 * A source that cannot be asked is a refusal with `state_unavailable`, never "nobody".
 */
export type Whois = (address: string) => Soon<Result<NetworkIdentity | undefined, Refusal>>;

/** A network principal, and what the engine grants it towards this node. */
export interface NetworkIdentity {
  readonly principal: Principal;
  readonly capabilities?: Caller['networkCapabilities'];
}

/** What the headers of `tailscale serve` say. */
export type ServeIdentity =
  | { readonly kind: 'known'; readonly identity: NetworkIdentity }
  /** From the public internet: no network identity at all. */
  | { readonly kind: 'funnel' }
  | { readonly kind: 'unknown' };

export type ServeAuthenticator = (request: HttpRequest) => Promise<Result<ServeIdentity, Refusal>>;

/** Is this loopback caller the person who started the process? Refuses `local_operator_refused`. */
export type OperatorAuthenticator = (request: HttpRequest) => Promise<Result<Principal, Refusal>>;

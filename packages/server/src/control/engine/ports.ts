import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';

/** What an engine can do besides what all of them can. What is missing is refused by name, never ignored. */
export type EngineCapability =
  | 'approval' // machines may have to wait for an operator
  | 'policy-etag' // the engine itself refuses a policy written over one that changed meanwhile
  | 'policy-check' // a policy is judged by the engine without being applied
  | 'policy-write'
  | 'ephemeral'
  | 'key-expiry'
  | 'dns-write';

export interface AuthKeyRequest {
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  /** False: a machine that joins by it waits for an operator. */
  readonly preauthorized: boolean;
  readonly tags: readonly string[];
  readonly lifeMs: number;
  readonly description?: string;
}

export interface AuthKey {
  readonly id: string;
  readonly key: Secret;
  readonly expiresAtMs: number;
}

export interface Device {
  readonly id: string;
  /** The label of its name. */
  readonly name: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Login of its owner; absent for tagged machines. */
  readonly user?: string;
  readonly tags: readonly string[];
  readonly online: boolean;
  readonly authorized: boolean;
  readonly nodeKey: string;
  readonly createdAtMs: number;
  /** Absent: never. */
  readonly expiresAtMs?: number;
  readonly lastSeenMs?: number;
  readonly enabledRoutes: readonly string[];
  readonly advertisedRoutes: readonly string[];
}

export interface EnginePolicy {
  readonly text: string;
  /** Names exactly this text. */
  readonly etag: string;
}

export interface EngineDns {
  readonly magicDns: boolean;
  readonly nameservers: readonly string[];
  readonly searchDomains: readonly string[];
}

/**
 * What coordinates the network, whoever wrote it. Shaped after the Tailscale API v2. Every failure is a refusal:
 * `not_found`, `conflict` (a policy that changed meanwhile, or something that this engine cannot do),
 * `upstream_unavailable`, `upstream_credential`, `upstream_error`.
 */
export interface NetworkEngine {
  readonly kind: 'embedded' | 'headscale' | 'tailscale';
  /** What clients are given as `--login-server`. */
  readonly url: string;
  readonly capabilities: ReadonlySet<EngineCapability>;
  createAuthKey(request: AuthKeyRequest): Promise<Result<AuthKey, Refusal>>;
  listDevices(): Promise<Result<readonly Device[], Refusal>>;
  getDevice(id: string): Promise<Result<Device, Refusal>>;
  deleteDevice(id: string): Promise<Result<void, Refusal>>;
  setTags(id: string, tags: readonly string[]): Promise<Result<void, Refusal>>;
  authorize(id: string): Promise<Result<void, Refusal>>;
  setRoutes(id: string, routes: readonly string[]): Promise<Result<void, Refusal>>;
  expireKey(id: string): Promise<Result<void, Refusal>>;
  getPolicy(): Promise<Result<EnginePolicy, Refusal>>;
  /** `ifMatch`: the etag that the writer read. */
  setPolicy(text: string, ifMatch: string): Promise<Result<EnginePolicy, Refusal>>;
  /** What the engine has against a policy, in sentences. */
  checkPolicy(text: string): Promise<Result<readonly string[], Refusal>>;
  getDns(): Promise<Result<EngineDns, Refusal>>;
}

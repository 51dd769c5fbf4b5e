import type { Result, Secret } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { UserRole } from '@postern/core/state';

export const engineKinds = ['embedded', 'headscale', 'tailscale'] as const;
export type EngineKind = (typeof engineKinds)[number];

export interface AuthKeyRequest {
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  /** False: a machine that joins by it waits for an operator. */
  readonly preauthorized: boolean;
  readonly tags: readonly string[];
  readonly lifeMs: number;
  readonly description?: string;
  /** Whose machines they become; absent with tags. */
  readonly login?: string;
}

export interface AuthKey {
  readonly id: string;
  readonly key: Secret;
  readonly expiresAtMs: number;
}

/** A key by which machines join, as a list shows it: never with its secret. */
export interface AuthKeyFacts {
  readonly id: string;
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly preauthorized: boolean;
  readonly tags: readonly string[];
  readonly login?: string;
  readonly description?: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** Used up, revoked or expired: no machine joins by it any more. */
  readonly invalid: boolean;
}

export interface Device {
  readonly id: string;
  /** The label of its name. */
  readonly name: string;
  /** The whole name, without a dot at the end; absent where the engine does not say. */
  readonly fqdn?: string;
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Login of its owner; absent for tagged machines. */
  readonly user?: string;
  readonly tags: readonly string[];
  readonly online: boolean;
  readonly authorized: boolean;
  readonly ephemeral: boolean;
  /** The key by which it joined; absent where there was none, or the engine does not say. */
  readonly authKeyId?: string;
  readonly nodeKey: string;
  readonly machineKey: string;
  readonly os: string;
  readonly clientVersion: string;
  /** 0: the engine does not say. */
  readonly createdAtMs: number;
  /** Absent: never. */
  readonly expiresAtMs?: number;
  readonly lastSeenMs?: number;
  /** What it may route, whether or not it offers to. */
  readonly enabledRoutes: readonly string[];
  readonly advertisedRoutes: readonly string[];
}

export interface EngineUser {
  readonly id: string;
  readonly login: string;
  readonly displayName: string;
  readonly role?: UserRole;
  /** 0: the engine does not say. */
  readonly createdAtMs: number;
  readonly devices: number;
}

export interface EnginePolicy {
  /** HuJSON as it was written; empty where there is none. */
  readonly text: string;
  /** Names exactly this text. */
  readonly etag: string;
}

/** Which rules of a policy are about somebody, or about an address with a port. */
export interface PolicyPreviewRequest {
  readonly text: string;
  readonly type: 'user' | 'ipport';
  readonly for: string;
}

export interface PolicyMatch {
  readonly users: readonly string[];
  readonly ports: readonly string[];
  /** In the text, from 1. */
  readonly line: number;
}

export interface EngineDns {
  readonly magicDns: boolean;
  readonly nameservers: readonly string[];
  /** Whether they replace what a machine has. */
  readonly overrideLocal: boolean;
  readonly searchDomains: readonly string[];
  /** Whose names are asked where. */
  readonly splitDns: Readonly<Record<string, readonly string[]>>;
}

/** Settings that all engines have some of; absent: this one has none of that kind. */
export interface EngineSettings {
  readonly deviceApproval?: boolean;
  /** Days that the key of a person's machine lives; 0: for ever. */
  readonly keyDays?: number;
  readonly userApproval?: boolean;
  readonly flowLogs?: boolean;
  readonly https?: boolean;
}

/** Who answers: what a status shows. */
export interface EngineFacts {
  /** As it names its release; empty where it does not. */
  readonly version: string;
  /** Of the API that is spoken with it. */
  readonly api: 'journal' | 'v1' | 'v2';
}

type Answer<T> = Promise<Result<T, Refusal>>;

/**
 * What coordinates the network, whoever wrote it. Shaped after the Tailscale API v2. Every failure is a refusal:
 * `not_found`, `invalid_request` (what the engine itself refuses, in its words), `conflict` (a policy that changed
 * meanwhile, or something that this engine cannot do), `upstream_unavailable`, `upstream_timeout`,
 * `upstream_credential`, `upstream_rate_limited`, `upstream_error`.
 */
export interface NetworkEngine {
  readonly kind: EngineKind;
  /** What clients are given as `--login-server`. */
  readonly url: string;
  readonly capabilities: ReadonlySet<EngineCapability>;
  /** Asks it: a refusal says why it cannot be used now. */
  look(): Answer<EngineFacts>;

  createAuthKey(request: AuthKeyRequest): Answer<AuthKey>;
  listAuthKeys(): Answer<readonly AuthKeyFacts[]>;
  getAuthKey(id: string): Answer<AuthKeyFacts>;
  revokeAuthKey(id: string): Answer<void>;

  listDevices(): Answer<readonly Device[]>;
  getDevice(id: string): Answer<Device>;
  deleteDevice(id: string): Answer<void>;
  setTags(id: string, tags: readonly string[]): Answer<void>;
  authorize(id: string): Answer<void>;
  /** Gives it a name of its own. */
  rename(id: string, name: string): Answer<void>;
  /** All prefixes that it may route from now on. */
  setRoutes(id: string, routes: readonly string[]): Answer<void>;
  /** Ends its key now: it has to sign in again. */
  expireKey(id: string): Answer<void>;

  getPolicy(): Answer<EnginePolicy>;
  /** `ifMatch`: the etag that the writer read. */
  setPolicy(text: string, ifMatch: string): Answer<EnginePolicy>;
  /** What the engine has against a policy, in sentences; nothing is changed. */
  checkPolicy(text: string): Answer<readonly string[]>;
  previewPolicy(request: PolicyPreviewRequest): Answer<readonly PolicyMatch[]>;

  getDns(): Answer<EngineDns>;
  setDns(dns: EngineDns): Answer<void>;
  listUsers(): Answer<readonly EngineUser[]>;
  getSettings(): Answer<EngineSettings>;
  setSettings(settings: EngineSettings): Answer<void>;
}

/**
 * What an engine can do besides what all of them can (machines, their tags, routes, names and keys; keys by which
 * they join; reading the policy). What is missing is refused by name, never ignored.
 */
export const engineCapabilities = {
  approval: 'machines can wait for an operator',
  'policy-write': 'Postern writes the policy',
  'policy-etag': 'the engine itself refuses a policy written over one that changed meanwhile',
  'policy-check': 'the engine judges a policy without applying it',
  'policy-preview': 'the engine says which rules are about somebody',
  'app-capabilities': 'grants give app capabilities, which whois carries to the gateway',
  posture: 'policies name what a machine is like',
  'user-keys': 'keys join machines that belong to a person',
  ephemeral: 'machines that are forgotten when they go away',
  'key-expiry': 'the key of a machine ends, and can be ended',
  rename: 'machines are given names',
  'dns-read': 'DNS settings can be read',
  'dns-write': 'DNS settings can be changed',
  'service-names': 'names of what nodes of the registry serve (`TYPE.svc.BASE-DOMAIN`)',
  users: 'people are listed',
  roles: 'people have roles that policies name',
  settings: 'settings of the network can be read',
  'settings-write': 'settings of the network can be changed',
  'oauth-clients': 'programs get tokens with scopes, which end by themselves',
  'serve-https':
    'certificates for `tailscale serve --https` (embedded: with `engine.certificateHook`)',
  funnel: 'Funnel',
  'audit-log': 'the engine keeps a log of what was changed, beside ours',
  webhooks: 'the engine tells others of changes',
} as const satisfies Readonly<Record<string, string>>;

export type EngineCapability = keyof typeof engineCapabilities;

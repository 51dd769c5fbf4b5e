import type { Table } from './table.ts';

/** A person of the network. Known by authority and subject: an e-mail that changes hands changes nobody's machines. */
export interface NetworkUser {
  /** `u1`. */
  readonly id: string;
  /** What clients have in place of the id. Never given out twice. */
  readonly number: number;
  /** What policies name, such as `alice@example.com`. Unique, compared in lower case. */
  readonly login: string;
  readonly displayName: string;
  /** `postern` for people named by an operator, else the issuer that signed them in. */
  readonly authority: string;
  /** Stable at the authority. */
  readonly subject: string;
  readonly createdAtMs: number;
  /** What an operator made of them; without one they are members and nothing else. */
  readonly role?: UserRole;
}

/** Roles that policies name as `autogroup:admin` and so on. */
export const userRoles = [
  'owner',
  'admin',
  'it-admin',
  'network-admin',
  'billing-admin',
  'auditor',
] as const;
export type UserRole = (typeof userRoles)[number];

/** What lets a machine join without anybody looking. The secret is with its owner; its digest is here. */
export interface PreAuthKey {
  /** `pak_…`. */
  readonly id: string;
  readonly digest: string;
  /** The last four characters of the secret. */
  readonly hint: string;
  /** Whose machines they become; absent where it has tags. */
  readonly userId?: string;
  readonly tags: readonly string[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  /** Machines that join by it need no approval. */
  readonly preApproved: boolean;
  /** Its machine waits, whatever else says, until its node key is bound to evidence. */
  readonly awaitsBinding?: boolean;
  readonly createdBy: string;
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** When it was used for the first time. */
  readonly usedAtMs?: number;
  readonly revokedAtMs?: number;
  readonly description?: string;
}

/** A machine of the network as it was admitted. What it reports about itself is not here. */
export interface NetworkNode {
  /** `n1`. */
  readonly id: string;
  /** What clients have in place of the id. Never given out twice. */
  readonly number: number;
  /** `mkey:…`: whoever speaks for this node has proven this key. */
  readonly machineKey: string;
  /** `nodekey:…`: its WireGuard key. */
  readonly nodeKey: string;
  /** The label of its name. Unique. */
  readonly name: string;
  /** Somebody chose the name; it does not follow the host name any more. */
  readonly isNamed: boolean;
  /** Absent for tagged nodes, which belong to nobody. */
  readonly userId?: string;
  readonly tags: readonly string[];
  /** One IPv4 and one IPv6 address, for as long as the node lives. */
  readonly addresses: readonly string[];
  readonly approved: boolean;
  readonly ephemeral: boolean;
  /** Prefixes that it may route, whether or not it advertises them. */
  readonly approvedRoutes: readonly string[];
  /** Absent: its key does not expire. */
  readonly keyExpiresAtMs?: number;
  readonly createdAtMs: number;
  /** The pre-auth key that admitted it. */
  readonly admittedBy?: string;
}

export interface DnsRecord {
  /** A label below the base domain, or a whole name. */
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  readonly value: string;
}

export interface DnsSettings {
  /** Whether machines find each other by name. */
  readonly magicDns: boolean;
  /** Resolvers for everything else; empty: what the machine has. */
  readonly nameservers: readonly string[];
  /** Whether they replace what the machine has, rather than help out. */
  readonly overrideLocal: boolean;
  /** Split DNS: whose names are asked where. */
  readonly routes: readonly { readonly domain: string; readonly resolvers: readonly string[] }[];
  readonly searchDomains: readonly string[];
  readonly extraRecords: readonly DnsRecord[];
}

export interface NetworkState {
  readonly usersById: Table<NetworkUser>;
  /** By `userSubjectKey`. */
  readonly usersBySubject: Table<NetworkUser>;
  /** By login in lower case. */
  readonly usersByLogin: Table<NetworkUser>;
  readonly preAuthKeysById: Table<PreAuthKey>;
  readonly preAuthKeysByDigest: Table<PreAuthKey>;
  readonly nodesById: Table<NetworkNode>;
  readonly nodesByKey: Table<NetworkNode>;
  readonly nodesByName: Table<NetworkNode>;
  readonly nodesByAddress: Table<NetworkNode>;
  /** A machine has a node for every user that it was signed in as. */
  readonly nodesByMachine: Table<readonly NetworkNode[]>;
  /** The last numbers that were given out. */
  readonly lastUser: number;
  readonly lastNode: number;
  readonly dns: DnsSettings;
}

export function userSubjectKey(authority: string, subject: string): string {
  return JSON.stringify([authority, subject]);
}

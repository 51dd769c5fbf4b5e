/** The policy file as typed, immutable data. Every item knows its place in the text. */
import type { Prefix } from '../../base/netip/index.ts';
import type { Posture } from './posture.ts';
import type { IpSetRule } from './ipset.ts';
import type { ProtocolPorts } from './port.ts';
import type { Text } from './reader.ts';
import type { Selector } from './selector.ts';
import type { JsonData, Position } from './source.ts';

export interface PolicyFile {
  /** Undefined where the file has no such key: with neither key, everything is allowed. */
  readonly acls: readonly NetworkRule[] | undefined;
  readonly grants: readonly NetworkRule[] | undefined;
  readonly ssh: readonly SshRule[];
  readonly groups: ReadonlyMap<string, Group>;
  readonly hosts: ReadonlyMap<string, Host>;
  readonly ipsets: ReadonlyMap<string, IpSetRule>;
  readonly tagOwners: ReadonlyMap<string, TagOwner>;
  readonly autoApprovers: AutoApprovers;
  readonly postures: ReadonlyMap<string, Posture>;
  readonly defaultSrcPosture: readonly Text[];
  readonly nodeAttrs: readonly NodeAttrRule[];
  readonly attrConfig: ReadonlyMap<string, AttrConfig>;
  readonly tests: readonly PolicyTest[];
  readonly sshTests: readonly SshTest[];
  readonly derpMap: DerpMap | undefined;
  readonly options: NetworkOptions;
}

/** A rule of `acls` or `grants`, in one shape: an ACL has one target per destination, a grant one at most. */
export interface NetworkRule {
  /** Pointer of the rule: `/grants/3`. Unique in the file, and the id under which decisions name it. */
  readonly id: string;
  readonly section: 'acls' | 'grants';
  readonly index: number;
  readonly at: Position;
  readonly src: readonly Selector[];
  /** Every destination of the rule, in file order. */
  readonly dst: readonly Selector[];
  readonly targets: readonly RuleTarget[];
  readonly app: readonly Capability[];
  /** Tags of the routers or exit nodes through which alone the rule holds; empty without the restriction. */
  readonly via: readonly Text[];
  /** Names of postures, one of which must hold; undefined where the rule does not say. */
  readonly srcPosture: readonly Text[] | undefined;
}

/** Destinations and what is open on each of them. */
export interface RuleTarget {
  readonly dst: readonly Selector[];
  readonly ports: readonly ProtocolPorts[];
}

/** One capability name with its objects. */
export interface Capability {
  readonly name: string;
  readonly values: readonly CapabilityValue[];
  readonly at: Position;
}

export interface CapabilityValue {
  readonly value: JsonData;
  readonly at: Position;
}

export interface SshRule {
  readonly id: string;
  readonly index: number;
  readonly at: Position;
  readonly action: 'accept' | 'check';
  readonly src: readonly Selector[];
  readonly dst: readonly Selector[];
  readonly users: readonly SshUser[];
  /** How long a check holds; undefined leaves the default of 12 hours. */
  readonly checkPeriodMs: number | 'always' | undefined;
  readonly acceptEnv: readonly string[];
  readonly srcPosture: readonly Text[] | undefined;
  readonly recorder: readonly Selector[];
  readonly enforceRecorder: boolean;
}

export type SshUser =
  | { readonly kind: 'root' }
  /** Every user of the machine but root. */
  | { readonly kind: 'nonroot' }
  /** The part before the `@` of a login in this domain. */
  | { readonly kind: 'localpart'; readonly domain: string; readonly text: string }
  | { readonly kind: 'literal'; readonly name: string };

export interface Group {
  readonly name: string;
  readonly members: readonly Text[];
  readonly at: Position;
}

export interface Host {
  readonly name: string;
  readonly prefix: Prefix;
  readonly at: Position;
}

export interface TagOwner {
  readonly tag: string;
  readonly owners: readonly Selector[];
  readonly at: Position;
}

export interface AutoApprovers {
  readonly routes: readonly RouteApprover[];
  readonly exitNode: readonly Selector[];
}

export interface RouteApprover {
  readonly prefix: Prefix;
  readonly approvers: readonly Selector[];
  readonly at: Position;
}

export interface NodeAttrRule {
  readonly id: string;
  readonly index: number;
  readonly at: Position;
  readonly target: readonly Selector[];
  readonly attrs: readonly Text[];
  readonly app: readonly Capability[];
  readonly ipPool: readonly Prefix[];
}

export interface AttrConfig {
  readonly name: string;
  readonly type: string | undefined;
  readonly allowSetByNode: boolean;
  readonly broadcastToPeers: readonly string[];
  readonly at: Position;
}

/** Texts of a test are read when the test runs: the service reports every mistake in them as a failed test. */
export interface PolicyTest {
  readonly index: number;
  readonly at: Position;
  readonly src: Text | undefined;
  readonly proto: Text | undefined;
  readonly accept: readonly Text[];
  readonly deny: readonly Text[];
  readonly srcPostureAttrs: ReadonlyMap<string, PostureValue>;
}

export interface SshTest {
  readonly index: number;
  readonly at: Position;
  readonly src: Text | undefined;
  readonly dst: readonly Text[];
  readonly accept: readonly Text[];
  readonly check: readonly Text[];
  readonly deny: readonly Text[];
  readonly srcPostureAttrs: ReadonlyMap<string, PostureValue>;
}

export type PostureValue = string | number | boolean;

export interface DerpMap {
  readonly omitDefaultRegions: boolean;
  /** Null switches a default region off. */
  readonly regions: ReadonlyMap<number, DerpRegion | null>;
}

export interface DerpRegion {
  readonly regionId: number;
  readonly regionCode: string;
  readonly regionName: string;
  readonly avoid: boolean;
  readonly nodes: readonly DerpNode[];
}

export interface DerpNode {
  readonly name: string;
  readonly regionId: number;
  readonly hostName: string;
  readonly certName: string | undefined;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  readonly stunPort: number | undefined;
  readonly stunOnly: boolean;
  readonly derpPort: number | undefined;
}

export interface NetworkOptions {
  readonly disableIpv4: boolean;
  readonly oneCgnatRoute: '' | 'mac-always' | 'mac-never';
  readonly randomizeClientPort: boolean;
}

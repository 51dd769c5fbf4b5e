/** Shapes that stock Tailscale clients take (`tailcfg`), with their JSON names. */
import type { JsonData } from '../file/source.ts';

export interface WirePortRange {
  readonly First: number;
  readonly Last: number;
}

export interface WireNetPortRange {
  /** An address, a prefix, `first-last`, or `*`. */
  readonly IP: string;
  readonly Ports: WirePortRange;
}

/** Capability name to its objects; null where the capability has none. */
export type WireCapMap = Readonly<Record<string, readonly JsonData[] | null>>;

export interface WireCapGrant {
  readonly Dsts: readonly string[];
  readonly CapMap: WireCapMap;
}

/** `tailcfg.FilterRule`: either ports or capabilities. */
export interface WireFilterRule {
  readonly SrcIPs: readonly string[];
  readonly DstPorts?: readonly WireNetPortRange[];
  /** Absent: TCP, UDP, ICMP and ICMPv6. */
  readonly IPProto?: readonly number[];
  readonly CapGrant?: readonly WireCapGrant[];
}

export interface WireSshPrincipal {
  readonly nodeIP: string;
}

export interface WireSshAction {
  readonly accept?: true;
  readonly allowAgentForwarding?: true;
  readonly allowLocalPortForwarding?: true;
  readonly allowRemotePortForwarding?: true;
  /** Where the client asks before it lets the session in; `$`-names are filled in by the client. */
  readonly holdAndDelegate?: string;
  readonly recorders?: readonly string[];
}

/** `tailcfg.SSHRule`. The first rule that matches decides. */
export interface WireSshRule {
  readonly principals: readonly WireSshPrincipal[];
  /** Requested user to local user; `=` is the same name, the empty text refuses. */
  readonly sshUsers: Readonly<Record<string, string>>;
  readonly action: WireSshAction;
  readonly acceptEnv?: readonly string[];
}

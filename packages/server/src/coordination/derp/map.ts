import type { DerpMap, DerpNode, DerpRegion } from '@postern/core/policy';

/** The relay map as clients read it (tailcfg.DERPMap). */
export interface DerpMapMessage {
  readonly omitDefaultRegions: true;
  readonly Regions: Readonly<Record<string, DerpRegionMessage>>;
}

export interface DerpRegionMessage {
  readonly RegionID: number;
  readonly RegionCode: string;
  readonly RegionName: string;
  readonly Avoid?: true;
  readonly Nodes: readonly DerpNodeMessage[];
}

export interface DerpNodeMessage {
  readonly Name: string;
  readonly RegionID: number;
  readonly HostName: string;
  readonly CertName?: string;
  /** The certificate is not looked at: packets are sealed for their receivers in any case. */
  readonly InsecureForTests?: true;
  readonly IPv4?: string;
  readonly IPv6?: string;
  readonly STUNPort?: number;
  readonly STUNOnly?: true;
  readonly DERPPort?: number;
}

/** Our own relay, as a region of its own. */
export interface OwnRelay {
  readonly hostName: string;
  readonly port: number;
  /** -1: no STUN. */
  readonly stunPort: number;
  /** The pin of a self-signed certificate. */
  readonly certName?: string;
  /** Spares clients a name look-up; `none` where the relay has no address of that family. */
  readonly ipv4?: string;
  readonly ipv6?: string;
}

/** From this capability version on (1.82) clients pin a certificate by its digest. */
const pinVersionMin = 115;

/** Regions from 900 on are for networks' own relays; Tailscale's have lower numbers. */
export const ownRegionId = 900;
const ownRegion = { RegionID: ownRegionId, RegionCode: 'postern', RegionName: 'Postern' };

/**
 * The map of a network: our relay, and what the policy's `derpMap` adds, replaces (same number) or removes (null).
 * Public default regions are never added: nothing leaves the network by a relay that nobody named. Clients too old to pin
 * our certificate (plain http only) are told not to look at it; otherwise they would have no relay at all.
 */
export function derpMapOf(
  own: OwnRelay | undefined,
  fromPolicy: DerpMap | undefined,
  version: number = pinVersionMin,
): DerpMapMessage {
  const regions: Record<string, DerpRegionMessage> = {};
  if (own !== undefined) regions[ownRegionId] = ownRegionOf(own, version >= pinVersionMin);
  for (const [id, region] of fromPolicy?.regions ?? []) {
    if (region === null) delete regions[id];
    else regions[id] = regionOf(region);
  }
  return { omitDefaultRegions: true, Regions: regions };
}

function ownRegionOf(own: OwnRelay, mayPin: boolean): DerpRegionMessage {
  const node: DerpNodeMessage = {
    Name: `${ownRegionId}a`,
    RegionID: ownRegionId,
    HostName: own.hostName,
    DERPPort: own.port,
    STUNPort: own.stunPort,
    ...(own.certName === undefined ? {} : certificateOf(own.certName, mayPin)),
    ...(own.ipv4 === undefined ? {} : { IPv4: own.ipv4 }),
    ...(own.ipv6 === undefined ? {} : { IPv6: own.ipv6 }),
  };
  return { ...ownRegion, Nodes: [node] };
}

function certificateOf(
  certName: string,
  mayPin: boolean,
): Pick<DerpNodeMessage, 'CertName' | 'InsecureForTests'> {
  return mayPin ? { CertName: certName } : { InsecureForTests: true };
}

function regionOf(region: DerpRegion): DerpRegionMessage {
  return {
    RegionID: region.regionId,
    RegionCode: region.regionCode,
    RegionName: region.regionName,
    ...(region.avoid ? { Avoid: true } : {}),
    Nodes: region.nodes.map(nodeOf),
  };
}

function nodeOf(node: DerpNode): DerpNodeMessage {
  return {
    Name: node.name,
    RegionID: node.regionId,
    HostName: node.hostName,
    ...(node.certName === undefined ? {} : { CertName: node.certName }),
    ...(node.ipv4 === undefined ? {} : { IPv4: node.ipv4 }),
    ...(node.ipv6 === undefined ? {} : { IPv6: node.ipv6 }),
    ...(node.stunPort === undefined ? {} : { STUNPort: node.stunPort }),
    ...(node.stunOnly ? { STUNOnly: true } : {}),
    ...(node.derpPort === undefined ? {} : { DERPPort: node.derpPort }),
  };
}

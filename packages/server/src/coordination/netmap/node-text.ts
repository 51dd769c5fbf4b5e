import type { WireCapMap } from '@postern/core/policy';
import type { NetworkNode, NetworkUser } from '@postern/core/state';
import type { Machine } from './machine.ts';
import { taggedUserNumber } from './machine.ts';

/** What a machine's text needs besides the machine. */
export interface NodeContext {
  readonly baseDomain: string;
  readonly userNumber: number;
  /** Subnet routes of which it is the router now. */
  readonly primaryRoutes: readonly string[];
  readonly exitRoutes: readonly string[];
}

/** `tailcfg.Node` as peers see it, as JSON. */
export function peerTextOf(machine: Machine, context: NodeContext): string {
  const hostinfo = machine.report?.hostinfo.peerText ?? '{}';
  const fields = { ...commonFields(machine, context), MachineAuthorized: true };
  return withHostinfo(fields, hostinfo);
}

/** The same as the machine itself sees it, with its attributes. */
export function selfTextOf(machine: Machine, context: NodeContext, capMap: WireCapMap): string {
  const fields = {
    ...commonFields(machine, context),
    Online: true,
    MachineAuthorized: machine.record.approved,
    CapMap: { ...selfCapabilities, ...capMap },
  };
  return withHostinfo(fields, machine.report?.hostinfo.peerText ?? '{}');
}

/** What every machine may: be an SSH server, which the SSH policy opens or not; never update by itself. */
const selfCapabilities: WireCapMap = {
  'https://tailscale.com/cap/ssh': null,
  'default-auto-update': [false],
};

function commonFields(
  { record, report, online }: Machine,
  { baseDomain, userNumber, primaryRoutes, exitRoutes }: NodeContext,
): Readonly<Record<string, unknown>> {
  const addresses = record.addresses.map(single);
  const lastSeenMs = report?.lastSeenMs ?? 0;
  return {
    ID: record.number,
    StableID: record.id,
    Name: `${record.name}.${baseDomain}.`,
    User: userNumber,
    Key: record.nodeKey,
    ...(record.keyExpiresAtMs === undefined ? {} : { KeyExpiry: iso(record.keyExpiresAtMs) }),
    Machine: record.machineKey,
    ...(report === undefined || report.discoKey === '' ? {} : { DiscoKey: report.discoKey }),
    Addresses: addresses,
    AllowedIPs: [...addresses, ...primaryRoutes, ...exitRoutes],
    ...(report === undefined || report.endpoints.length === 0
      ? {}
      : { Endpoints: report.endpoints }),
    HomeDERP: report?.derp ?? 0,
    Created: iso(record.createdAtMs),
    Cap: report?.version ?? 0,
    ...(record.tags.length === 0 ? {} : { Tags: record.tags }),
    ...(primaryRoutes.length === 0 ? {} : { PrimaryRoutes: primaryRoutes }),
    ...(online || lastSeenMs === 0 ? {} : { LastSeen: iso(lastSeenMs) }),
    Online: online,
  };
}

/** The host's own JSON goes in as it is: it was read once and never changes by itself. */
function withHostinfo(fields: Readonly<Record<string, unknown>>, hostinfo: string): string {
  return `${JSON.stringify(fields).slice(0, -1)},"Hostinfo":${hostinfo}}`;
}

function single(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

export function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

export interface UserProfile {
  readonly ID: number;
  readonly LoginName: string;
  readonly DisplayName: string;
}

export const taggedProfile: UserProfile = {
  ID: taggedUserNumber,
  LoginName: 'tagged-devices',
  DisplayName: 'Tagged Devices',
};

export function profileOf(record: NetworkNode, user: NetworkUser | undefined): UserProfile {
  if (record.tags.length > 0 || user === undefined) return taggedProfile;
  return { ID: user.number, LoginName: user.login, DisplayName: user.displayName };
}

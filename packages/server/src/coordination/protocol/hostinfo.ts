import { parsePrefix } from '@postern/core/base/netip';
import { stateLimits } from '@postern/core/state';
import { coordinationLimits } from '../limits.ts';
import type { Fields } from './read.ts';
import { fieldsOf, numberAt, textAt, textsAt } from './read.ts';

/** What a machine says about itself (tailcfg.Hostinfo), as far as anybody needs it. Believed for nothing but posture. */
export interface Hostinfo {
  readonly hostname: string;
  readonly os: string;
  readonly osVersion: string;
  /** Of the client, such as `1.102.3-t123`. */
  readonly clientVersion: string;
  /** Prefixes that it offers to route. */
  readonly routes: readonly string[];
  readonly requestTags: readonly string[];
  /** The relay that it prefers; 0: none. */
  readonly preferredDerp: number;
  /** The part that peers see, as JSON text. */
  readonly peerText: string;
}

/** What peers may know: enough for MagicDNS over peers, SSH host keys and the list of machines. */
const peerFields = ['OS', 'Hostname', 'Services', 'sshHostKeys', 'ShareeNode', 'Location'] as const;

export function readHostinfo(value: unknown): Hostinfo | undefined {
  const fields = fieldsOf(value);
  if (fields === undefined) return undefined;
  const netInfo = fieldsOf(fields['NetInfo']);
  return {
    hostname: textAt(fields, 'Hostname', 253),
    os: textAt(fields, 'OS', 64),
    osVersion: textAt(fields, 'OSVersion', 256),
    clientVersion: textAt(fields, 'IPNVersion', 128),
    routes: textsAt(fields, 'RoutableIPs', stateLimits.nodeRoutesMax).filter(
      (text) => parsePrefix(text).ok,
    ),
    requestTags: textsAt(fields, 'RequestTags', stateLimits.nodeTagsMax),
    preferredDerp: netInfo === undefined ? 0 : numberAt(netInfo, 'PreferredDERP'),
    peerText: peerTextOf(fields),
  };
}

function peerTextOf(fields: Fields): string {
  const shown: Record<string, unknown> = {};
  for (const name of peerFields) {
    const value = fields[name];
    if (value !== undefined && value !== null) shown[name] = value;
  }
  const text = JSON.stringify(shown);
  if (text.length <= coordinationLimits.hostinfoCharsMax) return text;
  const { OS, Hostname } = shown;
  return JSON.stringify({ OS, Hostname });
}

/** Attributes that postures can ask for, as the hosted service names them. */
export function postureOf(info: Hostinfo): ReadonlyMap<string, string> {
  const version = info.clientVersion.split('-', 1)[0] ?? '';
  const minor = Number(version.split('.')[1] ?? Number.NaN);
  const attributes = new Map<string, string>();
  if (info.os !== '') attributes.set('node:os', info.os.toLowerCase());
  if (info.osVersion !== '') attributes.set('node:osVersion', info.osVersion);
  if (version !== '') attributes.set('node:tsVersion', version);
  if (Number.isInteger(minor)) {
    attributes.set('node:tsReleaseTrack', minor % 2 === 0 ? 'stable' : 'unstable');
  }
  return attributes;
}

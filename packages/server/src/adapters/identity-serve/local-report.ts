import type { JsonObject, Result } from '@postern/core/base';
import { isJsonObject, ok } from '@postern/core/base';
import { textOf, texts } from './local-api.ts';
import { askObject } from './local-node.ts';
import type { LocalApiPlace } from './local-socket.ts';

/** What a tailscaled says of itself, for people who look for what is wrong. */
export interface DaemonReport {
  readonly version: string;
  readonly state: string;
  readonly hasDevice: boolean;
  readonly addresses: readonly string[];
  readonly name: string;
  readonly suffix: string;
  /** Names of the network resolve for machines that take them. */
  readonly magicDns: boolean;
  /** This machine takes them. */
  readonly takesDns: boolean;
  readonly controlUrl: string;
  /** Its own complaints, as sentences. */
  readonly health: readonly string[];
  /** Absent: never. */
  readonly keyExpiresAtMs?: number;
  /** Names for which it gets certificates; empty: the network gives none. */
  readonly certDomains: readonly string[];
  readonly authUrl: string | undefined;
}

/** A server that tells clients from where their packets arrive. */
export interface StunPlace {
  readonly host: string;
  readonly port: number;
}

const stunPort = 3_478;
const stunMax = 8;

export async function askDaemonReport(place: LocalApiPlace): Promise<Result<DaemonReport, string>> {
  const [status, prefs] = await Promise.all([
    askObject(place, 'status?peers=false'),
    askObject(place, 'prefs'),
  ]);
  if (!status.ok) return status;
  if (!prefs.ok) return prefs;
  const { Self, CurrentTailnet } = status.value;
  const self = isJsonObject(Self) ? Self : {};
  const tailnet = isJsonObject(CurrentTailnet) ? CurrentTailnet : {};
  const expiry = Date.parse(textOf(self['KeyExpiry']) ?? '');
  return ok({
    version: textOf(status.value['Version']) ?? '',
    state: textOf(status.value['BackendState']) ?? 'NoState',
    hasDevice: status.value['TUN'] === true,
    addresses: texts(status.value['TailscaleIPs']),
    name: (textOf(self['DNSName']) ?? '').replace(/\.$/, ''),
    suffix: textOf(tailnet['MagicDNSSuffix']) ?? '',
    magicDns: tailnet['MagicDNSEnabled'] === true,
    takesDns: prefs.value['CorpDNS'] === true,
    controlUrl: textOf(prefs.value['ControlURL']) ?? '',
    health: texts(status.value['Health']),
    ...(Number.isNaN(expiry) ? {} : { keyExpiresAtMs: expiry }),
    certDomains: texts(status.value['CertDomains']),
    authUrl: textOf(status.value['AuthURL']),
  });
}

/** Where its map of relays says that packets are answered. */
export async function askStunPlaces(
  place: LocalApiPlace,
): Promise<Result<readonly StunPlace[], string>> {
  const map = await askObject(place, 'derpmap');
  if (!map.ok) return map;
  const regions = isJsonObject(map.value['Regions']) ? Object.values(map.value['Regions']) : [];
  const nodes = regions.flatMap((region) => {
    const list = isJsonObject(region) ? region['Nodes'] : undefined;
    return Array.isArray(list) ? list.filter(isJsonObject) : [];
  });
  return ok(nodes.flatMap(stunOf).slice(0, stunMax));
}

function stunOf({ HostName, IPv4, STUNPort }: JsonObject): readonly StunPlace[] {
  const port = typeof STUNPort === 'number' && STUNPort !== 0 ? STUNPort : stunPort;
  const four = textOf(IPv4);
  const host = four === undefined || four === 'none' ? textOf(HostName) : four;
  return port < 0 || host === undefined ? [] : [{ host, port }];
}

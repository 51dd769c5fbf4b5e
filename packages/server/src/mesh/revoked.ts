import type { PeerFinding, PeerIdentity } from './peer-identity.ts';

/** Who is no longer believed, whatever their certificates say. Lower-case hex. */
export interface Revoked {
  readonly apps: ReadonlySet<string>;
  readonly instances: ReadonlySet<string>;
  readonly devices: ReadonlySet<string>;
  /** Serial numbers of certificates, contents octets in hex, without leading zeros. */
  readonly serials: ReadonlySet<string>;
}

export interface RevokedLists {
  readonly apps?: readonly string[];
  readonly instances?: readonly string[];
  readonly devices?: readonly string[];
  readonly serials?: readonly string[];
}

export function revokedOf(lists: RevokedLists): Revoked {
  const set = (list: readonly string[] = []): ReadonlySet<string> =>
    new Set(list.map((text) => text.toLowerCase()));
  return {
    apps: set(lists.apps),
    instances: set(lists.instances),
    devices: set(lists.devices),
    serials: new Set((lists.serials ?? []).map(plainSerial)),
  };
}

export const nothingRevoked: Revoked = Object.freeze(revokedOf({}));

/** Who is in either. */
export function mergedRevoked(one: Revoked, other: Revoked): Revoked {
  return {
    apps: new Set([...one.apps, ...other.apps]),
    instances: new Set([...one.instances, ...other.instances]),
    devices: new Set([...one.devices, ...other.devices]),
    serials: new Set([...one.serials, ...other.serials]),
  };
}

/** Every list that names the peer. */
export function revokedBy(revoked: Revoked, peer: PeerIdentity): readonly PeerFinding[] {
  const findings: PeerFinding[] = [];
  const look = (
    code: PeerFinding['code'],
    list: ReadonlySet<string>,
    value: string | undefined,
  ): void => {
    if (value !== undefined && list.has(value)) findings.push({ code, detail: value });
  };
  look('app_revoked', revoked.apps, peer.appId);
  look('instance_revoked', revoked.instances, peer.instanceId);
  look('device_revoked', revoked.devices, peer.deviceId?.toLowerCase());
  look('serial_revoked', revoked.serials, plainSerial(peer.serialHex));
  return findings;
}

/** `00:AB:01`, `0x00ab01` and `ab01` are one number: tools print serials in all these ways. */
function plainSerial(text: string): string {
  const digits = text.toLowerCase().replaceAll(':', '').replace(/^0x/, '');
  return digits.replace(/^0+(?=.)/, '');
}

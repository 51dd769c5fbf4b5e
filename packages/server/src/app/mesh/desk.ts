import { err, ok } from '@postern/core/base';
import type { MeshDesk } from '../../control/api/index.ts';
import type { MeshCounters, MeshPlane } from '../../mesh/index.ts';
import { meshAddress } from '../../mesh/index.ts';

/** Counts by name; refusals by what spoke against the peer. */
function numbersOf(counters: MeshCounters): Record<string, number> {
  const numbers: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters)) {
    if (typeof value === 'number') numbers[name] = value;
  }
  for (const [code, count] of counters.refusals) numbers[`refused_${code}`] = count;
  return numbers;
}

/** The running mesh as operations of the admin API see it. */
export function deskOfMesh(plane: MeshPlane): MeshDesk {
  return {
    status: async () => {
      const { identity, listeners, counters, ejected, cut } = plane.facts();
      return {
        identity: {
          source: identity.source,
          not_before: new Date(identity.notBeforeMs).toISOString(),
          not_after: new Date(identity.notAfterMs).toISOString(),
          renewals: identity.renewals,
          problem: identity.problem ?? null,
        },
        listeners: await Promise.all(
          listeners.map(async ({ kind, address, connections }) => ({
            kind,
            address,
            connections: await connections(),
          })),
        ),
        counters: { ...numbersOf(counters), cut },
        ejected: [...ejected],
      };
    },
    peers: () =>
      plane.peers().map(({ edge, peer, port, sinceMs }) => ({
        edge,
        verified_by: peer.kind,
        app_id: peer.appId ?? null,
        instance_id: peer.instanceId ?? null,
        spiffe_id: peer.spiffeId ?? null,
        device_id: peer.deviceId ?? null,
        tcb_status: peer.tcbStatus ?? null,
        serial: peer.serialHex,
        port,
        since: new Date(sinceMs).toISOString(),
        expires_at: new Date(peer.expiresAtMs).toISOString(),
      })),
    keys: () => ({ keys: plane.jwks().keys.map((key) => ({ ...key })) }),
    forward: async ({ listen, app, port, instance }) => {
      const address = meshAddress(app, String(port), instance);
      if (!address.ok) return err(address.error);
      const opened = await plane.forward({ host: '127.0.0.1', port: listen }, address.value);
      return opened.ok ? ok(opened.value.address) : opened;
    },
  };
}

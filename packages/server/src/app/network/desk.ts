import { err } from '@postern/core/base';
import { followerRefusal } from '../../control/index.ts';
import type { GatewayFacts, NetworkDesk, NodeFacts } from '../../control/network/index.ts';
import type { NetworkPlane } from './plane.ts';

/** The running engine as operations of the admin API see it. */
export function deskOfPlane(
  { plan, coordination, relay, serves, role }: NetworkPlane,
  gateway: () => GatewayFacts | undefined,
): NetworkDesk {
  const url = plan.url.origin;
  return {
    url,
    publicKey: coordination.publicKey,
    baseDomain: plan.baseDomain,
    ipv4Pool: plan.ipv4Pool,
    ipv6Pool: plan.ipv6Pool,
    needsApproval: plan.needsApproval,
    keyDays: Math.round((plan.keyLifeMs ?? 0) / 86_400_000),
    relay: relay === undefined ? undefined : `${relay.hostName}:${relay.port}`,
    gateway,
    serves,
    streams: () => coordination.streams,
    facts: (id) => factsOf(coordination.facts(id)),
    waiting: () =>
      coordination.pending().map((waiting) => ({
        id: waiting.id,
        hostname: waiting.hostinfo?.hostname ?? '',
        os: waiting.hostinfo?.os ?? '',
        machineKey: waiting.machineKey,
        url: `${url}/register/${waiting.id}`,
        sinceMs: waiting.createdAtMs,
        expiresAtMs: waiting.expiresAtMs,
      })),
    admit: (id, as, principal) => {
      const mine = role();
      // Who waits is known to the gateway that serves the machines.
      if (mine.kind === 'follower') return Promise.resolve(err(followerRefusal(mine)));
      if ('tags' in as) return coordination.admit(id, as, principal);
      const { login } = as;
      const who = {
        authority: 'postern',
        subject: login.toLowerCase(),
        login,
        displayName: login.split('@', 1)[0] ?? login,
      };
      return coordination.admit(id, { who }, principal);
    },
  };
}

function factsOf(facts: ReturnType<NetworkPlane['coordination']['facts']>): NodeFacts | undefined {
  if (facts === undefined) return undefined;
  const { online, report } = facts;
  const lastSeenMs = report?.lastSeenMs ?? 0;
  return {
    online,
    os: report?.hostinfo.os ?? '',
    clientVersion: report?.hostinfo.clientVersion ?? '',
    hostname: report?.hostinfo.hostname ?? '',
    advertisedRoutes: report?.hostinfo.routes ?? [],
    endpoints: report?.endpoints ?? [],
    relay: report?.derp ?? 0,
    lastSeenMs: online || lastSeenMs === 0 ? undefined : lastSeenMs,
  };
}

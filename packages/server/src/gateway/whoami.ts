import { ok } from '@postern/core/base';
import type { Caller, Principal } from '@postern/core/identity';
import type { Step } from './pipeline.ts';

/** What this machine says of itself: asked at the start, so that the request path does no I/O. */
export interface HostFacts {
  readonly hostname: string;
  /** An address of this machine that is not loopback, where it has one. */
  readonly privateIp: string | undefined;
}

const note =
  'Postern: models and services for callers who are known; nothing here has a public address.';

function shown(principal: Principal): Record<string, unknown> {
  const { authority, id, kind, display, selectors } = principal;
  return { authority, id, kind, display, selectors };
}

function shownCaller(caller: Caller): Record<string, unknown> {
  return {
    ...shown(caller.subject),
    ...(caller.via === undefined ? {} : { via: shown(caller.via) }),
  };
}

/** `GET /whoami`: which machine answers, and who it takes the caller for. */
export function whoamiStep(host: HostFacts): Step {
  return ({ request, reply, caller }) => {
    const local = request.peer.localAddress;
    const isLoopback = local === undefined || local === '::1' || local.startsWith('127.');
    const body = {
      hostname: host.hostname,
      private_ip: isLoopback ? (host.privateIp ?? local ?? null) : local,
      service: 'postern',
      note,
      caller: shownCaller(caller),
    };
    reply.send(
      200,
      { 'content-type': 'application/json', 'cache-control': 'no-store' },
      JSON.stringify(body),
    );
    return Promise.resolve(ok(undefined));
  };
}

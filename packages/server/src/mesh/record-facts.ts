import { policyName } from './peer.ts';
import type { MeshRecord } from './ports.ts';

/** A record as one flat line. Paths are a caller's text and may be long. */
export function refusalFacts(record: MeshRecord): Readonly<Record<string, string | number>> {
  const { edge, outcome, why, peer, port, method, path, remote } = record;
  const facts: Record<string, string | number> = { edge, outcome, why };
  if (peer !== undefined) {
    facts['app'] = policyName(peer);
    facts['verified_by'] = peer.kind;
    if (peer.sessionBound === true) facts['bound_to'] = 'session';
    if (peer.instanceId !== undefined) facts['instance'] = peer.instanceId;
  }
  if (port !== undefined) facts['port'] = port;
  if (method !== undefined) facts['method'] = method;
  if (path !== undefined) facts['path'] = path.slice(0, 256);
  if (remote !== undefined) facts['remote'] = remote;
  return facts;
}

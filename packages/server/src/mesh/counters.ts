/** What happened since the start, for metrics and people. */
export class MeshCounters {
  inboundPeers = 0;
  inboundRefused = 0;
  inboundRequests = 0;
  inboundDenied = 0;
  outboundRequests = 0;
  outboundRefused = 0;
  tunnels = 0;
  authAllowed = 0;
  authDenied = 0;
  /** By the first thing that spoke against a peer; the codes are ours, so there are few. */
  readonly refusals = new Map<string, number>();

  refuse(code: string): void {
    this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1);
  }
}

import type { MeshFacts } from '../../mesh/index.ts';
import type { MetricSource } from '../../observe/metrics/index.ts';

const msPerSecond = 1_000;

/** What happened at the edges of the mesh; nothing while none runs. */
export function meshGauges(factsOf: () => MeshFacts | undefined): MetricSource {
  return (sheet) => {
    const facts = factsOf();
    if (facts === undefined) return;
    const { counters, identity, open, ejected, cut } = facts;
    const requests = (edge: string, outcome: string, count: number): void =>
      sheet.put('postern_mesh_requests_total', count, edge, outcome);
    requests('inbound', 'allowed', counters.inboundRequests);
    requests('inbound', 'denied', counters.inboundDenied);
    requests('outbound', 'sent', counters.outboundRequests);
    requests('outbound', 'refused', counters.outboundRefused);
    requests('auth', 'allowed', counters.authAllowed);
    requests('auth', 'denied', counters.authDenied);
    sheet.put('postern_mesh_tunnels_total', counters.tunnels);
    for (const [edge, count] of Object.entries(open)) sheet.put('postern_mesh_peers', count, edge);
    for (const [code, count] of counters.refusals)
      sheet.put('postern_mesh_refusals_total', count, code);
    sheet.put('postern_mesh_cut_total', cut);
    sheet.put('postern_mesh_ejected', ejected.length);
    sheet.put('postern_mesh_certificate_renewals_total', identity.renewals);
    sheet.put(
      'postern_mesh_certificate_expiry_timestamp_seconds',
      identity.notAfterMs / msPerSecond,
    );
  };
}

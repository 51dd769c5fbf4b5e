/** One metric as it is described to whoever scrapes it. */
export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** One sentence without its full stop. */
  readonly help: string;
  /** Every one of them is bounded: by a table of ours, by the configuration, or by a cap. */
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, in its unit, rising. */
  readonly buckets?: readonly number[];
}

/** From a cached answer to a long piece of reasoning. */
const durationBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600,
] as const;
const firstTokenBuckets = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60] as const;
/** What Postern itself adds is tens of microseconds; what is above a millisecond is worth a look. */
const overheadBuckets = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1,
] as const;
const waitBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300] as const;

/**
 * Every metric that there is, by name: base units, the unit as suffix, counters end in `_total`. What is not in this
 * table cannot be written, and the reference page and the test of the dashboard come from it.
 */
export const metricTable = {
  postern_build_info: {
    type: 'gauge',
    help: 'Always 1; which build of Postern this is',
    labels: ['version', 'node'],
  },
  postern_start_timestamp_seconds: {
    type: 'gauge',
    help: 'When the process started, as a Unix time',
    labels: [],
  },
  postern_ready: { type: 'gauge', help: '1 while new requests are accepted', labels: [] },
  postern_requests_total: {
    type: 'counter',
    help: 'Requests by route and class of the status that they were answered with',
    labels: ['route', 'status'],
  },
  postern_request_duration_seconds: {
    type: 'histogram',
    help: 'From the head of the request to the end of its answer',
    labels: ['route'],
    buckets: durationBuckets,
  },
  postern_overhead_seconds: {
    type: 'histogram',
    help: 'What Postern itself added to a request that a model answered: everything but the model, queues and wake-ups',
    labels: [],
    buckets: overheadBuckets,
  },
  postern_queue_wait_seconds: {
    type: 'histogram',
    help: 'How long requests that had to wait did wait: for a free place, a machine to wake, a repetition',
    labels: [],
    buckets: waitBuckets,
  },
  postern_time_to_first_token_seconds: {
    type: 'histogram',
    help: 'From the head of the request to the first byte of what the model wrote',
    labels: ['model'],
    buckets: firstTokenBuckets,
  },
  postern_model_requests_total: {
    type: 'counter',
    help: 'Requests that reached a model, by how they ended',
    labels: ['model', 'outcome'],
  },
  postern_model_tokens_total: {
    type: 'counter',
    help: 'Tokens by kind; those that the model server did not report are counted by Postern',
    labels: ['model', 'kind'],
  },
  postern_model_cost_usd_total: {
    type: 'counter',
    help: 'What requests cost, all attempts together',
    labels: ['model'],
  },
  postern_estimated_requests_total: {
    type: 'counter',
    help: 'Requests whose usage was counted by Postern because the model server did not report it, or that came at a tier whose price nobody states',
    labels: [],
  },
  postern_answer_bytes_total: {
    type: 'counter',
    help: 'Bytes of answers as sent to callers',
    labels: [],
  },
  postern_refusals_total: {
    type: 'counter',
    help: 'Requests that were refused or failed, by the code of the error',
    labels: ['reason'],
  },
  postern_listener_refusals_total: {
    type: 'counter',
    help: 'Requests that a listener refused before any handler saw them',
    labels: ['listener', 'reason'],
  },
  postern_open_connections: {
    type: 'gauge',
    help: 'Connections that are open now',
    labels: ['listener'],
  },
  postern_upstream_attempts_total: {
    type: 'counter',
    help: 'Requests sent to model servers, repetitions included',
    labels: [],
  },
  postern_upstream_failures_total: {
    type: 'counter',
    help: 'Attempts that failed by a fault of the model server',
    labels: [],
  },
  postern_upstream_retries_total: {
    type: 'counter',
    help: 'Repetitions at the same place: made, and not made because the retry budget was spent',
    labels: ['result'],
  },
  postern_fallbacks_total: {
    type: 'counter',
    help: 'Requests that went on to another target after a failure',
    labels: [],
  },
  postern_queue_requests_total: {
    type: 'counter',
    help: 'Requests in front of busy places: that entered a queue, found it full, waited too long, or left',
    labels: ['result'],
  },
  postern_breaker_changes_total: {
    type: 'counter',
    help: 'Breakers that opened, and that closed again',
    labels: ['to'],
  },
  postern_wakes_total: {
    type: 'counter',
    help: 'Machines that were woken, and those that did not come',
    labels: ['result'],
  },
  postern_health_checks_failed_total: {
    type: 'counter',
    help: 'Health checks of model servers that failed',
    labels: [],
  },
  postern_places: {
    type: 'gauge',
    help: 'Places where models run, by provider and what state they are in',
    labels: ['provider', 'state'],
  },
  postern_place_requests: {
    type: 'gauge',
    help: 'Requests at the places of a provider now: running, and waiting for their turn',
    labels: ['provider', 'state'],
  },
  postern_breakers: {
    type: 'gauge',
    help: 'Breakers of a provider that are not closed',
    labels: ['provider', 'state'],
  },
  postern_budget_usd: {
    type: 'gauge',
    help: 'Money of a budget, all its accounts together: its capacity, what remains, what processes hold in reserve, what was spent and lost',
    labels: ['budget', 'kind'],
  },
  postern_budget_accounts: {
    type: 'gauge',
    help: 'Accounts of a budget that were ever used',
    labels: ['budget'],
  },
  postern_budget_used_ratio: {
    type: 'gauge',
    help: 'The fullest account of a budget: 1 when nothing remains',
    labels: ['budget'],
  },
  postern_money_available: {
    type: 'gauge',
    help: '1 while the store of budgets answers',
    labels: [],
  },
  postern_audit_records: {
    type: 'gauge',
    help: 'The height of the audit log: records that have their place in the chain',
    labels: [],
  },
  postern_audit_durable_records: {
    type: 'gauge',
    help: 'Of them, those that survive a loss of power',
    labels: [],
  },
  postern_audit_available: {
    type: 'gauge',
    help: '1 while the audit log takes records and keeps up with them',
    labels: [],
  },
  postern_audit_refused_records_total: {
    type: 'counter',
    help: 'Records that the audit log did not take: its disk was full, failing or too slow',
    labels: [],
  },
  postern_journal_records: {
    type: 'gauge',
    help: 'The height of the journal of state changes',
    labels: [],
  },
  postern_keys: { type: 'gauge', help: 'Keys of callers that exist', labels: [] },
  postern_revocations: { type: 'gauge', help: 'Revocations in force', labels: [] },
  postern_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    help: 'When a certificate that a listener shows ends, as a Unix time',
    labels: ['listener'],
  },
  postern_jwks_age_seconds: {
    type: 'gauge',
    help: 'How long ago the keys of the issuer that was not reached for the longest time were read',
    labels: [],
  },
  postern_collateral_age_seconds: {
    type: 'gauge',
    help: 'How long ago stored attestation collateral of a vendor was last renewed',
    labels: ['vendor'],
  },
  postern_attestation_results_total: {
    type: 'counter',
    help: 'Appraisals of evidence, by verdict',
    labels: ['verdict'],
  },
  postern_mesh_requests_total: {
    type: 'counter',
    help: 'Requests at the edges of the mesh: allowed or denied by the policy on the way in, sent or refused on the way out',
    labels: ['edge', 'outcome'],
  },
  postern_mesh_refusals_total: {
    type: 'counter',
    help: 'Handshakes of the mesh that were refused, by the first thing that spoke against the peer',
    labels: ['reason'],
  },
  postern_mesh_peers: {
    type: 'gauge',
    help: 'Connections with judged peers that are open now',
    labels: ['edge'],
  },
  postern_mesh_tunnels_total: {
    type: 'counter',
    help: 'Connections of raw TCP that went through the mesh',
    labels: [],
  },
  postern_mesh_cut_total: {
    type: 'counter',
    help: 'Open connections that were cut because their peer was revoked',
    labels: [],
  },
  postern_mesh_ejected: {
    type: 'gauge',
    help: 'Addresses of apps that failed lately and are left out',
    labels: [],
  },
  postern_mesh_certificate_renewals_total: {
    type: 'counter',
    help: 'New certificates of our own since the start',
    labels: [],
  },
  postern_mesh_certificate_expiry_timestamp_seconds: {
    type: 'gauge',
    help: 'When our own certificate in the mesh ends, as a Unix time',
    labels: [],
  },
  postern_backup_age_seconds: {
    type: 'gauge',
    help: 'How long ago the last backup in the state folder was made; absent where there is none',
    labels: [],
  },
  postern_nodes: { type: 'gauge', help: 'Machines on the private network', labels: [] },
  postern_node_key_expiry_timestamp_seconds: {
    type: 'gauge',
    help: 'When the first of the node keys that are still good ends, as a Unix time',
    labels: [],
  },
  postern_event_loop_delay_seconds: {
    type: 'gauge',
    help: 'How late timers were since the last scrape',
    labels: ['stat'],
  },
  postern_cpu_seconds_total: {
    type: 'counter',
    help: 'Processor time of the process',
    labels: ['mode'],
  },
  postern_resident_memory_bytes: {
    type: 'gauge',
    help: 'Memory of the process that is in RAM',
    labels: [],
  },
  postern_heap_used_bytes: { type: 'gauge', help: 'JavaScript heap in use', labels: [] },
  postern_trace_spans_total: {
    type: 'counter',
    help: 'Spans that the collector took, that it refused or could not take, and that were dropped because the queue was full',
    labels: ['result'],
  },
  postern_alerts_total: {
    type: 'counter',
    help: 'Deliveries of alerts to webhooks',
    labels: ['result'],
  },
  postern_alerts_firing: {
    type: 'gauge',
    help: 'Conditions that alerts are firing for now',
    labels: ['condition'],
  },
} as const satisfies Readonly<Record<string, MetricRow>>;

export type MetricName = keyof typeof metricTable;

/** The same rows without their literal types, for whoever walks them. */
export const metricRows: Readonly<Record<MetricName, MetricRow>> = metricTable;

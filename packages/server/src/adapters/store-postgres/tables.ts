/** The tables of the schema `postern`, as the queries see them. 64-bit integers arrive as numbers; all of ours are below 2⁵³. */
export interface Tables {
  schema_migration: { version: number; name: string; applied_at_ms: number };
  journal: { idx: number; at_ms: number; prev_hash: string; hash: string; body: string };
  materialised_state: { idx: number; at_ms: number; hash: string; digest: string; body: string };
  control_lease: { id: number; token: number; holder: string; name: string; until_ms: number };
  network_fact: { name: string; value: string };
  network_report: { node: string; at_ms: number; report: string };
  money_account: { account: string; state: string | null };
  money_process: { process: string; seq: number; seen_at_ms: number };
  money_usage: {
    digest: string;
    hour_ms: number;
    principal: string;
    display: string;
    model: string;
    target: string;
    accounts: string;
    requests: number;
    estimated: number;
    input: number;
    cache_read: number;
    cache_write: number;
    output: number;
    reasoning: number;
    cost: number;
    web_searches: number;
    storage_searches: number;
    input_audio: number;
    output_audio: number;
  };
}

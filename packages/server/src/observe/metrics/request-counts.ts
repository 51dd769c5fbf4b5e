import type { RefusedRequest } from '../../http/index.ts';
import { knownRoute } from '../audit/named.ts';
import type { Settlement } from '../settlement.ts';
import { Buckets } from './buckets.ts';
import type { Sheet } from './exposition.ts';
import { metricTable } from './table.ts';

const nanoPerUsd = 1e9;
const msPerSecond = 1_000;

/** What stands for every name that nobody knows: callers cannot add series. */
export const otherLabel = 'other';

/** Models beyond these share one series: what a scraper and its store take without trouble. */
const modelsMax = 512;

/** Verdicts are words of ours: a few for each kind of evidence. */
const verdictsMax = 64;

const statusClasses = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const;

interface RouteCounts {
  readonly byStatus: Float64Array;
  readonly duration: Buckets;
}

const tokenKinds = ['input', 'cache_read', 'cache_write', 'output', 'reasoning'] as const;
const outcomes = ['complete', 'refused', 'aborted', 'failed'] as const;

interface ModelCounts {
  readonly byOutcome: Readonly<Record<Settlement['outcome'], { count: number }>>;
  readonly tokens: Float64Array;
  readonly firstToken: Buckets;
  nanoUsd: number;
}

export interface RequestCountsOptions {
  /** Is this `provider/model` one that the catalogue lists now? */
  readonly isListed: (target: string) => boolean;
}

/**
 * What requests came to, in plain numbers that a scrape reads: no label object is made and nothing is hashed but one
 * path and one model name a request.
 */
export class RequestCounts {
  readonly #isListed: (target: string) => boolean;
  readonly #routes = new Map<string, RouteCounts>();
  readonly #models = new Map<string, ModelCounts>();
  readonly #refusals = new Map<string, { count: number }>();
  readonly #listeners = new Map<string, Map<string, { count: number }>>();
  readonly #verdicts = new Map<string, { count: number }>();
  readonly #overhead = new Buckets(metricTable.postern_overhead_seconds.buckets);
  readonly #waits = new Buckets(metricTable.postern_queue_wait_seconds.buckets);
  #bytes = 0;
  #estimated = 0;

  constructor({ isListed }: RequestCountsOptions) {
    this.#isListed = isListed;
  }

  /** Called once for each request. */
  settled(settlement: Settlement): void {
    const { status, durationMs, ownMs, waitedMs, refusal } = settlement;
    const route = this.#route(settlement.request.path);
    const group = status >= 100 && status < 600 ? Math.trunc(status / 100) : 0;
    route.byStatus[group] = (route.byStatus[group] ?? 0) + 1;
    route.duration.observe(durationMs / msPerSecond);
    this.#bytes += settlement.bytes;
    if (settlement.estimated) this.#estimated += 1;
    if (ownMs !== undefined) this.#overhead.observe(ownMs / msPerSecond);
    if (waitedMs !== undefined && waitedMs > 0) this.#waits.observe(waitedMs / msPerSecond);
    if (refusal !== undefined) countIn(this.#refusals, refusal.code);
    if (settlement.target !== undefined) this.#ran(this.#model(settlement.target), settlement);
  }

  /** A request that no handler saw. */
  refused({ listener, code }: Pick<RefusedRequest, 'listener' | 'code'>): void {
    let codes = this.#listeners.get(listener);
    if (codes === undefined) this.#listeners.set(listener, (codes = new Map()));
    countIn(codes, code);
  }

  /** Evidence of a peer was appraised. */
  appraised(verdict: string): void {
    const hasRoom = this.#verdicts.size < verdictsMax || this.#verdicts.has(verdict);
    countIn(this.#verdicts, hasRoom ? verdict : otherLabel);
  }

  write(sheet: Sheet): void {
    for (const [route, { byStatus, duration }] of this.#routes) {
      byStatus.forEach((count, group) => {
        if (count > 0) sheet.put('postern_requests_total', count, route, classOf(group));
      });
      sheet.histogram('postern_request_duration_seconds', duration, route);
    }
    sheet.histogram('postern_overhead_seconds', this.#overhead);
    sheet.histogram('postern_queue_wait_seconds', this.#waits);
    for (const [model, counts] of this.#models) writeModel(sheet, model, counts);
    sheet.put('postern_estimated_requests_total', this.#estimated);
    sheet.put('postern_answer_bytes_total', this.#bytes);
    for (const [code, { count }] of this.#refusals)
      sheet.put('postern_refusals_total', count, code);
    for (const [listener, codes] of this.#listeners)
      for (const [code, { count }] of codes)
        sheet.put('postern_listener_refusals_total', count, listener, code);
    for (const [verdict, { count }] of this.#verdicts)
      sheet.put('postern_attestation_results_total', count, verdict);
  }

  #ran(model: ModelCounts, { outcome, usage, cost, firstByteMs }: Settlement): void {
    model.byOutcome[outcome].count += 1;
    if (firstByteMs !== undefined) model.firstToken.observe(firstByteMs / msPerSecond);
    if (cost !== undefined) model.nanoUsd += cost;
    if (usage === undefined) return;
    const { tokens } = model;
    tokens[0] = (tokens[0] ?? 0) + usage.input;
    tokens[1] = (tokens[1] ?? 0) + usage.cacheRead;
    tokens[2] = (tokens[2] ?? 0) + usage.cacheWrite;
    tokens[3] = (tokens[3] ?? 0) + usage.output;
    tokens[4] = (tokens[4] ?? 0) + usage.reasoning;
  }

  #route(path: string): RouteCounts {
    // Most paths are the name of their route.
    const known = this.#routes.get(path);
    if (known !== undefined) return known;
    const name = knownRoute(path) ?? otherLabel;
    const counted = this.#routes.get(name);
    if (counted !== undefined) return counted;
    const counts = {
      byStatus: new Float64Array(statusClasses.length),
      duration: new Buckets(metricTable.postern_request_duration_seconds.buckets),
    };
    this.#routes.set(name, counts);
    return counts;
  }

  #model(target: string): ModelCounts {
    const known = this.#models.get(target);
    if (known !== undefined) return known;
    const hasRoom = this.#models.size < modelsMax - 1;
    const name = hasRoom && this.#isListed(target) ? target : otherLabel;
    const counted = this.#models.get(name);
    if (counted !== undefined) return counted;
    const counts: ModelCounts = {
      byOutcome: {
        complete: { count: 0 },
        refused: { count: 0 },
        aborted: { count: 0 },
        failed: { count: 0 },
      },
      tokens: new Float64Array(tokenKinds.length),
      firstToken: new Buckets(metricTable.postern_time_to_first_token_seconds.buckets),
      nanoUsd: 0,
    };
    this.#models.set(name, counts);
    return counts;
  }
}

function classOf(group: number): string {
  return statusClasses[group] ?? 'none';
}

function writeModel(sheet: Sheet, model: string, counts: ModelCounts): void {
  for (const outcome of outcomes) {
    const { count } = counts.byOutcome[outcome];
    if (count > 0) sheet.put('postern_model_requests_total', count, model, outcome);
  }
  tokenKinds.forEach((kind, index) =>
    sheet.put('postern_model_tokens_total', counts.tokens[index] ?? 0, model, kind),
  );
  sheet.put('postern_model_cost_usd_total', counts.nanoUsd / nanoPerUsd, model);
  sheet.histogram('postern_time_to_first_token_seconds', counts.firstToken, model);
}

/** Keys are words of ours: codes of the error table, verdicts. */
function countIn(counts: Map<string, { count: number }>, code: string): void {
  const known = counts.get(code);
  if (known === undefined) counts.set(code, { count: 1 });
  else known.count += 1;
}

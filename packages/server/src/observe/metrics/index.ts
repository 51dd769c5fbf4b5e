/**
 * @module What this process counts, for Prometheus: one table of metrics, counts of requests that cost next to nothing
 * while nobody asks, and the text of a scrape.
 *
 * Promises: names, units and labels are those of the table; labels are bounded, whatever callers send. Refuses: names
 * of callers, texts of callers, and a registry that hashes labels on the way of a request.
 */
export * from './buckets.ts';
export * from './exposition.ts';
export * from './request-counts.ts';
export * from './table.ts';

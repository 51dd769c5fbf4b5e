/**
 * @module The way of telemetry out of the process: spans to an OTLP collector, alerts to webhooks.
 *
 * Promises: only addresses that the operator wrote, through the one egress; redirects are not followed; a delivery to
 * a webhook is signed over its time and body. Refuses: queues and repetitions (who calls has those).
 */
export * from './collector.ts';
export * from './webhook.ts';

/**
 * @module From the name that a caller asks for to an ordered list of targets, and the rules by which targets are
 * tried: weights, breaker, retries, the queue in front of a busy one.
 *
 * Promises: total, deterministic (time and randomness are arguments), no name means two things. Refuses: asking
 * providers (the gateway lists them), access decisions (`policy`), waiting (the gateway does).
 */
export * from './alias.ts';
export * from './breaker.ts';
export * from './catalog.ts';
export * from './fair-queue.ts';
export * from './order.ts';
export * from './retry.ts';
export * from './retry-after.ts';

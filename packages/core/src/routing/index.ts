/**
 * @module From the name that a caller asks for to an ordered list of targets.
 *
 * Promises: total, deterministic, no name means two things. Refuses: asking providers (the gateway lists them),
 * access decisions (`policy`).
 */
export * from './catalog.ts';

/**
 * @module The places where models run, as the gateway knows them: who is there, who waits, which are asleep, which
 * fail.
 *
 * Promises: no request is sent past a cap, an open breaker or a failed check; callers take turns; every wait has a
 * bound and ends with its caller; what is known outlives a new configuration. Refuses: choosing (core/routing),
 * sending (dispatch), being asked twice for one place given back.
 */
export { pause } from './context.ts';
export * from './events.ts';
export * from './fleet.ts';
export * from './rules.ts';
export type { Entry, Passage, Station, Visit } from './station.ts';

/**
 * @module What can be wrong before a start and around it, as a table of findings over facts.
 *
 * Promises: a row for every line of troubleshooting, with what is so, why it matters and what to type next. Refuses:
 * looking by itself (the composition root fills the facts), mending.
 */
export type * from './facts.ts';
export { type DoctorRow, doctorRows, judgeDoctor } from './rows.ts';

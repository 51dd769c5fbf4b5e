/**
 * @module Wakes a machine by a call to whatever can switch it on: a cloud function, a smart plug, a hypervisor.
 *
 * Promises: one call through the one way out; its token is read afresh. Refuses: redirects, reading the answer.
 */
export * from './wake-http.ts';

/**
 * @module Appraisal: what a policy makes of verified evidence, and the cache of what it made.
 *
 * Promises: deny by default (an empty policy accepts nothing), every refusal with a code and values,
 * exceptions with an end, verdicts that expire with the shortest of what they rest on and with the
 * policy's generation. Refuses: waiving debug, wildcards except where `any` is written, time of its own.
 */
export * from './from-file.ts';
export * from './peer.ts';
export * from './platform-policy.ts';
export * from './policy.ts';
export * from './verdict-cache.ts';

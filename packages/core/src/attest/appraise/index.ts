/**
 * @module Appraisal: what a policy makes of verified evidence.
 */
export * from './platform-policy.ts';

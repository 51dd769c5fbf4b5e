/**
 * @module Attestation: evidence bytes → claims → verdict under a policy.
 */
export type * from './crypto-port.ts';

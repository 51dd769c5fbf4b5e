/**
 * @module Secrets from where they are kept: environment, files, systemd credentials, AWS.
 *
 * Promises: the text leaves only as `Secret`; a rotated file counts within a second. Refuses: secrets in the
 * configuration file itself, and files larger than 64 KiB.
 */
export * from './link.ts';
export * from './reader.ts';
export type * from './secret-reader.ts';
export * from './url-place.ts';

/**
 * @module The composition root: configuration to wired planes, start, reload, drain. The only folder that imports
 * everything; nobody imports it but the command line, lazily.
 */
export * from './addresses.ts';
export { inspectBackup, restoreBackup } from '../adapters/store-sqlite/index.ts';
export * from './config-file.ts';
export * from './detect.ts';
export { createLazyEgress } from './egress.ts';
export * from './doctor.ts';
export * from './explain.ts';
export { lookAtEngine } from './network/look.ts';
export { namesOf } from './policy-names.ts';
export * from './settings.ts';
export * from './start.ts';
export { ownPort } from './zero-config.ts';

/**
 * @module Configurations of other products, read into ours: LiteLLM, Aperture, Headscale.
 *
 * Promises: whatever the source says is in the result or in a note that says what became of it; no secret is in the configuration, each has
 * a file of its own; what comes out passes our own checks. Refuses: writing files, reading databases, keys and passwords
 * that exist elsewhere only as digests.
 */
export { importAperture } from './aperture.ts';
export type { HeadscaleExtras } from './headscale.ts';
export { importHeadscale } from './headscale.ts';
export type { Imported, MadeFile, Note } from './imported.ts';
export { importLiteLlm } from './litellm.ts';

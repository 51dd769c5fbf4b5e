/**
 * @module The attested mesh put together: from configuration, files and environment to a running plane, beside the other
 * planes of a process or alone.
 *
 * Promises: nothing of it is loaded without a `mesh` in the configuration; without a certificate, a trust that can be read
 * and free ports it does not start. Refuses: guessing whom to believe.
 */
export { type AttestedCall, attestedBind, attestedKey } from './attested-client.ts';
export { meshNginxFiles } from './nginx-files.ts';
export { type RunMesh, type RunningMeshAlone, runMesh } from './run.ts';

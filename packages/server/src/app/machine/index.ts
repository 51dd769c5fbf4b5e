/**
 * @module This machine on its network, for the command line: what is wrong, and Serve.
 *
 * Promises: looking changes nothing; setting up leaves what others set. Refuses: a running Postern (none is needed).
 */
export { diagnoseNetwork } from '../network/doctor.ts';
export { planServe, type ServePlan, type ServeSetup, setUpServe } from '../network/serve-setup.ts';

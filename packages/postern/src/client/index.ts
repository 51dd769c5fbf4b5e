/**
 * @module The command line's way to the running Postern: its control socket.
 *
 * Promises: every failure is one sentence and an exit code. Refuses: TCP, credentials, retries.
 */
export * from './control-client.ts';
export * from './from-flags.ts';

/**
 * @module The policy file behind the gateway's access port.
 *
 * Promises: deny by default; one object of one grant decides whole; a key is never wider than its scope; lists show
 * exactly what may be called; every decision has an id that leads back to a line of the file. Refuses: the access
 * table (one authority decides, never both), reading files, knowing who somebody is. The person who started the
 * process may call every model: no policy can name them, and none is needed to mend a policy.
 */
export * from './access-policy.ts';

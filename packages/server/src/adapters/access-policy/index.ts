/**
 * @module The policy file behind the gateway's access port.
 *
 * Promises: deny by default; one object of one grant decides whole; a key is never wider than its scope; lists show
 * exactly what may be called; every decision has an id that leads back to a line of the file. Refuses: exceptions for
 * anybody (the local operator is what the configuration maps it to, and never administers over a network), reading
 * files, knowing who somebody is.
 */
export * from './access-policy.ts';

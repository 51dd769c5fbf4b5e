/**
 * @module Our own certificate in the mesh: from a guest agent, or from files that somebody else renews.
 *
 * Promises: the private key is revealed to the TLS library and to nobody else; a certificate from the agent carries
 * evidence over its key and lives an hour at most; a key file that others may read is refused. Refuses: keeping keys on
 * disk, certificates whose key is another one. Limits: files of 256 KiB.
 */
export * from './agent-source.ts';
export * from './credential.ts';
export * from './file-source.ts';

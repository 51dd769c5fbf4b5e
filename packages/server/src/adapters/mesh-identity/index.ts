/**
 * @module Our own certificate in the mesh: from a guest agent, from the mesh's own authority, or from files that somebody
 * else renews.
 *
 * Promises: the private key is revealed to the TLS library and to nobody else; a certificate from the agent carries
 * evidence over its key and lives an hour at most; what the authority answers is verified before it is shown to anybody; a
 * key file that others may read is refused. Refuses: keeping the keys of certificates on disk (an authority's member keeps
 * the key of its renewals), certificates whose key is another one. Limits: files of 256 KiB, answers of 1 MiB.
 */
export * from './agent-source.ts';
export * from './authority-source.ts';
export * from './certificate-request.ts';
export * from './credential.ts';
export * from './file-source.ts';

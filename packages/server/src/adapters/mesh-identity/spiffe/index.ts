/**
 * @module Our identity in the mesh from a SPIFFE Workload API (SPIRE's agent and others), with the trust bundles of our own
 * and of federated domains.
 *
 * Promises: one stream, opened again with growing waits; a message counts whole or not at all; a new certificate is in use
 * at once. Refuses: endpoints other than unix sockets, keys that are not those of their certificates, groups and oversized
 * fields of protobuf. Limits: messages of 4 MiB, 64 identities, 1,024 domains of 256 authorities.
 */
export * from './protobuf.ts';
export * from './response.ts';
export * from './source.ts';
export * from './workload-api.ts';

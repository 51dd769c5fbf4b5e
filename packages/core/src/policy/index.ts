/**
 * @module The tailnet policy: the file, what it means for every node, who may do what at the gateway.
 *
 * Promises: one file decides about packets, SSH, services and models; everything has a position in it. Refuses:
 * I/O, clocks, randomness. `file` reads, `compile` evaluates against an inventory, `access` decides
 * requests, `lint` warns.
 */
export * from './access/index.ts';
export * from './compile/index.ts';
export * from './file/index.ts';
export * from './lint/index.ts';

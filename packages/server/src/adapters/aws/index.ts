/**
 * @module What Postern needs of AWS: credentials of the machine's role, signatures, the region, the instance itself.
 *
 * Promises: no key stands in a configuration; credentials come from the SDK's default chain and are renewed without a
 * restart; the instance metadata service is asked by IMDSv2 alone, and only where the firmware says EC2 or the operator
 * names its address. Refuses: calls to services (its users make them through the one way out). Limits: the chain
 * itself dials what AWS fixes or the operator's variables and profiles name.
 */
export * from './credentials.ts';
export * from './instance.ts';
export * from './region.ts';
export * from './signer.ts';

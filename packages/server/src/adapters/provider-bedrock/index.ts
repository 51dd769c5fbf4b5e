/**
 * @module Amazon Bedrock: Converse and InvokeModel, signed with the role of the machine.
 *
 * Promises: no key stands in a configuration; what is sent is signed as it is sent, byte for byte; a credential that
 * ran out is renewed and the request signed again, once. Refuses: redirects, guessing models that the account does not
 * list. Limits: those of the gateway for lists; the provider's own timeouts.
 */
export { namedRegion as bedrockRegion } from '../aws/index.ts';
export * from './provider.ts';

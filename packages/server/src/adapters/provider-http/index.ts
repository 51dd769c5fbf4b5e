/**
 * @module Providers over HTTP: OpenAI-compatible servers and the Messages API.
 *
 * Promises: one request path for both, through the one way out; the caller's credential is never sent; the gateway's
 * own is read afresh. Refuses: redirects, formats that the provider does not speak, guessing prices or limits.
 */
export * from './anthropic.ts';
export * from './openai.ts';
export type * from './ports.ts';
export * from './provider.ts';

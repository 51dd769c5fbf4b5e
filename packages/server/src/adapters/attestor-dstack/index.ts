/**
 * @module Client of dstack's guest agent: the socket inside a confidential VM that gives keys, certificates
 * and quotes.
 *
 * Promises: every method of the current agent and of its predecessor; bounded answers and times; private
 * keys are secrets from the first moment. Refuses: believing what the agent says about itself (quotes are
 * verified like any peer's), retries, TLS (a real agent is a socket).
 */
export * from './address.ts';
export * from './agent.ts';
export type { AgentError } from './call.ts';

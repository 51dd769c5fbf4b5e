import type { Result } from '../base/index.ts';
import type { Refusal } from '../errors/index.ts';
import { attempt } from './attempt.ts';
import { protocolRefusal } from './upstream-error.ts';

/** Runs a reader of an upstream's words: a wrong shape is the upstream's breach, not the caller's mistake. */
export function upstreamAttempt<T>(run: () => T): Result<T, Refusal> {
  const result = attempt(run);
  if (result.ok || result.error.code !== 'invalid_request') return result;
  return { ok: false, error: protocolRefusal(result.error.message.replace(/\.$/, '')) };
}

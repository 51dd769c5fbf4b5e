import { principalKey } from '@postern/core/identity';
import type { AuditRecord } from '@postern/core/state/audit';
import type { Settlement } from '../settlement.ts';
import { routeName, unknownName } from './named.ts';

const methods: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
]);

/**
 * The record of a request, allowed or refused: who, what, by which decision, where it ran, what it used, how it ended.
 * Nothing of a body, a header, a query or a credential; of names that nobody knows a digest. Fields are in order, so
 * that their text is canonical without sorting; a test holds that.
 */
export function requestRecord(
  settlement: Settlement,
  nowMs: number,
  digest: (text: string) => string,
  /** Id of the key under which the conversation is kept, where it is. */
  content?: string,
): AuditRecord {
  const { caller, refusal, usage, request, model, asked, firstByteMs } = settlement;
  const isUnknown = asked !== undefined && model === undefined;
  return {
    kind: 'request',
    v: 1,
    atMs: Math.trunc(nowMs),
    fields: {
      accounts: settlement.accounts?.length === 0 ? undefined : settlement.accounts,
      asked: isUnknown ? unknownName(asked, digest) : asked === model ? undefined : asked,
      attempts: settlement.attempts === 0 ? undefined : settlement.attempts,
      bytes: settlement.bytes,
      caller: caller === undefined ? undefined : principalKey(caller.subject),
      client: request.clientAddress,
      content,
      cost_nano_usd: settlement.cost,
      decision: settlement.decisionId,
      dialect: settlement.dialect,
      duration_ms: Math.max(0, Math.round(settlement.durationMs)),
      error: refusal?.code,
      estimated: settlement.estimated ? true : undefined,
      first_byte_ms: firstByteMs === undefined ? undefined : Math.max(0, Math.round(firstByteMs)),
      listener: request.listener,
      method: methods.has(request.method) ? request.method : 'other',
      model,
      outcome: settlement.outcome,
      path: routeName(request.path, digest),
      received_ms: Math.trunc(request.receivedAtMs),
      request_id: request.id,
      rule: settlement.rule,
      status: settlement.status,
      target: settlement.target,
      tokens_cache_read: usage?.cacheRead,
      tokens_cache_write: usage?.cacheWrite,
      tokens_input: usage?.input,
      tokens_output: usage?.output,
      tokens_reasoning: usage?.reasoning,
      via: caller?.via === undefined ? undefined : principalKey(caller.via),
    },
  };
}

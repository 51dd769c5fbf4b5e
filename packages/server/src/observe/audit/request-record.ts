import { slowDecimals } from '@postern/core/base';
import { principalKey } from '@postern/core/identity';
import type { AuditFields, AuditRecord } from '@postern/core/state/audit';
import { fieldsText } from '@postern/core/state/audit';
import { isPlainId } from '../plain-id.ts';
import { SameForCaller } from '../same-for-caller.ts';
import type { Settlement } from '../settlement.ts';
import { knownRoute, routeName, unknownName } from './named.ts';

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
 * Nothing of a body, a header, a query or a credential; of names that nobody knows a digest. Its text is put together
 * from the parts that repeat and the few numbers that do not; a test holds it against the text of its fields.
 */
export function requestRecord(
  settlement: Settlement,
  nowMs: number,
  digest: (text: string) => string,
  /** Id of the key under which the conversation is kept, where it is. */
  content?: string,
): AuditRecord {
  return new RequestRecord(settlement, Math.trunc(nowMs), { digest, content });
}

class RequestRecord implements AuditRecord {
  readonly kind = 'request';
  readonly v = 1;
  readonly atMs: number;
  readonly text: string;
  readonly #settlement: Settlement;
  readonly #more: More;

  constructor(settlement: Settlement, atMs: number, more: More) {
    this.atMs = atMs;
    this.#settlement = settlement;
    this.#more = more;
    const isUsual = settlement.refusal === undefined && more.content === undefined;
    this.text = (isUsual ? usualText(settlement) : undefined) ?? fieldsText(this.fields);
  }

  get fields(): AuditFields {
    return requestFields(this.#settlement, this.#more);
  }
}

interface More {
  readonly digest: (text: string) => string;
  readonly content: string | undefined;
}

/** Fields are in order, so that their text is canonical without sorting; a test holds that. */
function requestFields(settlement: Settlement, { digest, content }: More): AuditFields {
  const { caller, refusal, usage, request, model, asked, firstByteMs } = settlement;
  const isUnknown = asked !== undefined && model === undefined;
  return {
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
  };
}

/** The parts that repeat, each with the commas that it needs, in the order in which they stand in the text. */
const repeated = new SameForCaller((settlement) => {
  // What is digested here is a name that nobody knows, which no usual request has.
  const { accounts, asked, caller, client, decision, dialect, listener, method, model, ...rest } =
    requestFields(settlement, { digest: () => '', content: undefined });
  return [
    members({ accounts, asked }),
    members({ caller, client }),
    members({ decision, dialect }),
    members({ listener, method, model }),
    members({ path: rest['path'] }),
    members({ rule: rest['rule'] }),
    members({ target: rest['target'] }),
    members({ via: rest['via'] }),
  ];
});

/** `"a":1,"b":2,`; nothing where all of them are undefined. */
function members(fields: AuditFields): string {
  const inner = fieldsText(fields).slice(1, -1);
  return inner === '' ? '' : `${inner},`;
}

const timeText = slowDecimals();

/** Undefined where anything is not as it usually is. */
function usualText(settlement: Settlement): string | undefined {
  const { caller, request, model, usage, cost, firstByteMs } = settlement;
  const isKnown = caller !== undefined && model !== undefined && usage !== undefined;
  if (!isKnown || cost === undefined || firstByteMs === undefined) return undefined;
  if (settlement.estimated || settlement.attempts === 0 || !isPlainId(request.id)) {
    return undefined;
  }
  if (knownRoute(request.path) === undefined) return undefined;
  const durationMs = Math.max(0, Math.round(settlement.durationMs));
  const beginMs = Math.max(0, Math.round(firstByteMs));
  const receivedMs = Math.trunc(request.receivedAtMs);
  const { cacheRead, cacheWrite, input, output, reasoning } = usage;
  const sum = cost + cacheRead + cacheWrite + input + output + reasoning + durationMs + beginMs;
  // A fraction, or a number that JSON does not have, is for the careful way to refuse.
  if (!Number.isSafeInteger(sum) || !Number.isSafeInteger(receivedMs)) return undefined;
  const [accounts, from, decision, listener, path, rule, target, via] = repeated.of(settlement);
  const text =
    `{${accounts}"attempts":${settlement.attempts},"bytes":${settlement.bytes},${from}"cost_nano_usd":${cost},` +
    `${decision}"duration_ms":${durationMs},"first_byte_ms":${beginMs},${listener}"outcome":"${settlement.outcome}",` +
    `${path}"received_ms":${timeText(receivedMs)},"request_id":"${request.id}",${rule}"status":${settlement.status},${target}` +
    `"tokens_cache_read":${cacheRead},"tokens_cache_write":${cacheWrite},"tokens_input":${input},"tokens_output":${output},"tokens_reasoning":${reasoning}`;
  return via === '' ? `${text}}` : `${text},${via?.slice(0, -1)}}`;
}

import { principalKey } from '@postern/core/identity';
import { routeName, unknownName } from './audit/named.ts';
import type { HttpRequest } from '../http/index.ts';
import { isPlainId } from './plain-id.ts';
import { SameForCaller } from './same-for-caller.ts';
import type { Settlement } from './settlement.ts';
import { type Logger, infoLinesOf } from './log.ts';

/**
 * One line for each request: what, who, where it ran, how it ended. Never bodies, never credentials; of a model or path
 * that nobody knows a digest, since callers put keys and prompts there.
 */
export function accessLine(settlement: Settlement): Record<string, unknown> {
  const { refusal, usage, request } = settlement;
  return {
    request_id: request.id,
    status: settlement.status,
    outcome: settlement.outcome,
    duration_ms: settlement.durationMs,
    first_byte_ms: settlement.firstByteMs,
    bytes: settlement.bytes,
    attempts: settlement.attempts === 0 ? undefined : settlement.attempts,
    input_tokens:
      usage === undefined ? undefined : usage.input + usage.cacheRead + usage.cacheWrite,
    output_tokens: usage?.output,
    cost_nano_usd: settlement.cost,
    estimated: settlement.estimated ? true : undefined,
    error: refusal?.code,
    detail: refusal?.detail,
    session: tagOf(request, sessionHeaders),
    agent: tagOf(request, agentHeaders),
    ...repeatedFields(settlement),
  };
}

/** What is the same for most requests of one caller. */
function repeatedFields({
  caller,
  request,
  dialect,
  asked,
  model,
  target,
  decisionId,
  rule,
}: Settlement): Record<string, unknown> {
  return {
    listener: request.listener,
    method: request.method,
    path: routeName(request.path),
    client: request.clientAddress,
    caller: caller === undefined ? undefined : principalKey(caller.subject),
    via: caller?.via === undefined ? undefined : principalKey(caller.via),
    dialect,
    asked: asked === undefined || model !== undefined ? asked : unknownName(asked),
    model,
    target,
    decision: decisionId,
    rule,
  };
}

export function logSettlement(logger: Logger, settlement: Settlement): void {
  // A refusal has details of any shape; every other line is one of these, and there is one for each request.
  const lines = settlement.refusal === undefined ? infoLinesOf(logger) : undefined;
  if (lines !== undefined) {
    lines.write(requestLine(settlement));
    return;
  }
  const line = accessLine(settlement);
  if (settlement.refusal?.code === 'internal') logger.error(line, 'request');
  else logger.info(line, 'request');
}

const repeated = new SameForCaller((settlement) => [membersText(repeatedFields(settlement))]);

/** The line of a request that was not refused: what repeats is not written again. */
export function requestLine(settlement: Settlement): string {
  const { usage, request, firstByteMs, attempts, cost } = settlement;
  const id = isPlainId(request.id) ? `"${request.id}"` : JSON.stringify(request.id);
  // Settled just now: when it came and how long it took is the time.
  let text = `${lineStart(request.receivedAtMs + settlement.durationMs)},"request_id":${id},"status":${settlement.status},"outcome":"${settlement.outcome}","duration_ms":${settlement.durationMs}`;
  if (firstByteMs !== undefined) text += `,"first_byte_ms":${firstByteMs}`;
  text += `,"bytes":${settlement.bytes}`;
  if (attempts !== 0) text += `,"attempts":${attempts}`;
  if (usage !== undefined) {
    const input = usage.input + usage.cacheRead + usage.cacheWrite;
    text += `,"input_tokens":${input},"output_tokens":${usage.output}`;
  }
  if (cost !== undefined) text += `,"cost_nano_usd":${cost}`;
  if (settlement.estimated) text += ',"estimated":true';
  const session = tagOf(request, sessionHeaders);
  if (session !== undefined) text += `,"session":"${session}"`;
  const agent = tagOf(request, agentHeaders);
  if (agent !== undefined) text += `,"agent":"${agent}"`;
  return `${text}${repeated.of(settlement)[0]},"msg":"request"}\n`;
}

/** Nothing that JSON would write in another way. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

let stampedMs = -1;
let stamp = '';

function lineStart(nowMs: number): string {
  if (nowMs !== stampedMs) {
    stampedMs = nowMs;
    stamp = new Date(nowMs).toISOString();
  }
  return `{"level":"info","ts":"${stamp}"`;
}

/** The line that the logger makes of these fields, in a fifth of its time; a test holds the one against the other. */
export function infoLine(fields: Record<string, unknown>, nowMs: number): string {
  return `${lineStart(nowMs)}${membersText(fields)},"msg":"request"}\n`;
}

/** `,"a":1,"b":"x"` */
function membersText(fields: Record<string, unknown>): string {
  let text = '';
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    text +=
      typeof value === 'string' && plain.test(value)
        ? `,"${name}":"${value}"`
        : `,"${name}":${JSON.stringify(value)}`;
  }
  return text;
}

/** How coding agents name their conversation, and the one of several agents in it. To correlate lines, never to decide. */
const sessionHeaders = ['x-claude-code-session-id', 'session-id'] as const;
const agentHeaders = ['x-claude-code-agent-id'] as const;

/** A UUID that a caller wrote, or none: in any other shape it may be a secret in the wrong place. */
function tagOf(request: HttpRequest, names: readonly string[]): string | undefined {
  let text: string | undefined;
  for (const name of names) text ??= request.headers.get(name);
  return text !== undefined && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
    ? text
    : undefined;
}

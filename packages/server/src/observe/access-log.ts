import { principalKey } from '@postern/core/identity';
import { routeName, unknownName } from './audit/named.ts';
import type { HttpRequest } from '../http/index.ts';
import type { Settlement } from './settlement.ts';
import { type Logger, infoLinesOf } from './log.ts';

/**
 * One line for each request: what, who, where it ran, how it ended. Never bodies, never credentials; of a model or path
 * that nobody knows a digest, since callers put keys and prompts there.
 */
export function accessLine(settlement: Settlement): Record<string, unknown> {
  const { caller, refusal, usage, request, asked, model } = settlement;
  return {
    request_id: request.id,
    listener: request.listener,
    method: request.method,
    path: routeName(request.path),
    status: settlement.status,
    outcome: settlement.outcome,
    duration_ms: settlement.durationMs,
    first_byte_ms: settlement.firstByteMs,
    bytes: settlement.bytes,
    client: request.clientAddress,
    caller: caller === undefined ? undefined : principalKey(caller.subject),
    via: caller?.via === undefined ? undefined : principalKey(caller.via),
    dialect: settlement.dialect,
    asked: asked === undefined || model !== undefined ? asked : unknownName(asked),
    model,
    target: settlement.target,
    attempts: settlement.attempts === 0 ? undefined : settlement.attempts,
    decision: settlement.decisionId,
    session: tagOf(request, sessionHeaders),
    agent: tagOf(request, agentHeaders),
    rule: settlement.rule,
    error: refusal?.code,
    detail: refusal?.detail,
    input_tokens:
      usage === undefined ? undefined : usage.input + usage.cacheRead + usage.cacheWrite,
    output_tokens: usage?.output,
    cost_nano_usd: settlement.cost,
    estimated: settlement.estimated ? true : undefined,
  };
}

export function logSettlement(logger: Logger, settlement: Settlement): void {
  const line = accessLine(settlement);
  // A refusal has details of any shape; every other line is one of these, and there is one for each request.
  const lines = settlement.refusal === undefined ? infoLinesOf(logger) : undefined;
  if (lines !== undefined) {
    // Settled just now: when it came and how long it took is the time.
    lines.write(infoLine(line, settlement.request.receivedAtMs + settlement.durationMs));
    return;
  }
  if (settlement.refusal?.code === 'internal') logger.error(line, 'request');
  else logger.info(line, 'request');
}

/** Nothing that JSON would write in another way. */
const plain = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

let stampedMs = -1;
let stamp = '';

/** The line that the logger makes of these fields, in a fifth of its time; a test holds the one against the other. */
export function infoLine(fields: Record<string, unknown>, nowMs: number): string {
  if (nowMs !== stampedMs) {
    stampedMs = nowMs;
    stamp = new Date(nowMs).toISOString();
  }
  let text = `{"level":"info","ts":"${stamp}"`;
  for (const name in fields) {
    const value = fields[name];
    if (value === undefined) continue;
    text +=
      typeof value === 'string' && plain.test(value)
        ? `,"${name}":"${value}"`
        : `,"${name}":${JSON.stringify(value)}`;
  }
  return `${text},"msg":"request"}\n`;
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

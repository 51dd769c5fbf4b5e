import type { Document } from './resources.ts';
import type { JsonObject, JsonValue, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { errorRow, refusal, refuse } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import type { PolicyPlan } from '@postern/core/state';
import { findPlan, policyDigest } from '@postern/core/state';
import type {
  AnyOperation,
  OperationContext,
  OperationName,
  RawInput,
  RequestFacts,
} from '../control/api/index.ts';
import { operations, performOperation, permitted } from '../control/api/index.ts';
import { outcomeOf } from '../control/index.ts';
import type { Question } from './consent.ts';
import { Consents } from './consent.ts';
import { mcpLimits } from './limits.ts';
import type { ToolLine } from './line.ts';
import { Pace } from './pace.ts';
import type { DeskPorts, Visitor } from './ports.ts';
import { Handoffs } from './handoff.ts';
import { clientName, toolName } from './named.ts';
import { plainValue } from './text.ts';
import type { AnyTool, ToolContext, ToolHints, ToolResult } from './tool.ts';
import { jsonOf } from './tool.ts';
import { describeInput } from './schema.ts';
import { tools } from './tools/index.ts';

/** A tool as a client lists it. */
export interface ToolDescription {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  readonly annotations: ToolHints;
}

export interface ToolCall {
  readonly tool: string;
  readonly args: unknown;
  /** The client can put a form before a person. */
  readonly canAsk: boolean;
  /** What came back from an earlier round. */
  readonly state?: string | undefined;
  /** What the client says the person said. */
  readonly answer?: unknown;
}

export type ToolReply =
  | { readonly kind: 'done'; readonly value: JsonObject }
  | { readonly kind: 'refused'; readonly error: JsonObject }
  | { readonly kind: 'ask'; readonly message: string; readonly state: string }
  /** There is no such tool for this caller. */
  | { readonly kind: 'unknown' }
  /** The state is not one of ours for this call. */
  | { readonly kind: 'bad-state' };

/** What agents are served with, whatever protocol carries it. */
export interface Desk {
  list(visitor: Visitor): readonly ToolDescription[];
  call(visitor: Visitor, call: ToolCall): Promise<ToolReply>;
  /** A read as a call of its own: permitted, counted, recorded. */
  read(visitor: Visitor, uri: string): Promise<Document | undefined>;
  /** Gives a waiting secret out, once; whoever asks has been judged. Recorded, whatever becomes of it. */
  handOver(visitor: Visitor, id: string): Promise<string | undefined>;
}

const operationsByName = new Map<string, AnyOperation>(
  operations.map((operation) => [operation.name, operation]),
);
/** Whatever a line of the log can be about. */
const recordedTools: ReadonlySet<string> = new Set([
  ...tools.map(({ name }) => name),
  'resource',
  'handoff',
]);
const descriptions: readonly ToolDescription[] = tools.map((each) => ({
  name: each.name,
  title: each.title,
  description: each.description,
  inputSchema: describeInput(each.input),
  annotations: each.hints,
}));

export function createDesk(ports: DeskPorts, randomHex: () => string): Desk {
  return new OpenDesk(ports, randomHex);
}

/** What one call has learnt so far, for its line in the log. */
interface Progress {
  plan?: string;
  approvedBy?: string;
}

class OpenDesk implements Desk {
  readonly #handoffs: Handoffs;
  readonly #ports: DeskPorts;
  readonly #pace = new Pace();
  readonly #consents: Consents;

  constructor(ports: DeskPorts, randomHex: () => string) {
    this.#ports = ports;
    this.#consents = new Consents(randomHex);
    this.#handoffs = new Handoffs(randomHex);
  }

  list(visitor: Visitor): readonly ToolDescription[] {
    return descriptions.filter((_, at) => {
      const each = tools[at];
      return each !== undefined && this.#offers(visitor, each);
    });
  }

  async call(visitor: Visitor, call: ToolCall): Promise<ToolReply> {
    const context = await this.#ports.operations();
    const found = tools.find(({ name }) => name === call.tool);
    const isOffered = found !== undefined && this.#offers(visitor, found);
    const isChange = isOffered && !found.hints.readOnlyHint;
    return this.#recorded(visitor, context, { ...call, isChange }, async (progress, digest) => {
      if (!isOffered) return { kind: 'unknown' };
      const input = found.input.safeParse(call.args ?? {});
      if (!input.success) return this.#refused(visitor, wrongInput(input.error.issues));
      const question = questionOf(visitor, call.tool, digest, context);
      const agreement = this.#agreement(call, question, context.control.system.nowMs());
      if (agreement === 'forged') return { kind: 'bad-state' };
      const toolContext = this.#context(visitor, context, { call, agreement, progress });
      const result = await found.run(toolContext, input.data);
      return this.#reply(visitor, result, question, context);
    });
  }

  async read(visitor: Visitor, uri: string): Promise<Document | undefined> {
    const { readDocument } = await import('./resources.ts');
    const context = await this.#ports.operations();
    const call = { tool: 'resource', args: { uri }, canAsk: false, isChange: false };
    let document: Document | undefined;
    await this.#recorded(visitor, context, call, async (progress) => {
      const agreement = 'none' as const;
      const toolContext = this.#context(visitor, context, { call, agreement, progress });
      const read = await readDocument(toolContext, uri);
      if (!read.ok) return this.#refused(visitor, read.error);
      document = read.value;
      return { kind: 'done', value: {} };
    });
    return document;
  }

  async handOver(visitor: Visitor, id: string): Promise<string | undefined> {
    const context = await this.#ports.operations();
    const call = { tool: 'handoff', args: {}, canAsk: false, isChange: true };
    let secret: string | undefined;
    await this.#recorded(visitor, context, call, () => {
      secret = this.#handoffs.take(id, context.control.system.nowMs());
      const gone = refusal('not_found', 'It was fetched already, or it waited too long.');
      return Promise.resolve(
        secret === undefined ? this.#refused(visitor, gone) : { kind: 'done', value: {} },
      );
    });
    return secret;
  }

  #offers(visitor: Visitor, { operations: needed, hints }: AnyTool): boolean {
    const isReadOnly = visitor.isReadOnly || this.#ports.isReadOnly();
    if (isReadOnly && !hints.readOnlyHint) return false;
    return needed.every((name) => permitted(name, visitor).ok);
  }

  /** Counted before, recorded after, whatever happens in between. */
  async #recorded(
    visitor: Visitor,
    context: OperationContext,
    call: ToolCall & { readonly isChange: boolean },
    work: (progress: Progress, argsDigest: string) => Promise<ToolReply>,
  ): Promise<ToolReply> {
    const { system } = context.control;
    const startedAtMs = system.nowMs();
    const argsDigest = system.sha256Hex(JSON.stringify(call.args ?? {}));
    const policyBefore = policyDigest(context.control.snapshot().policy);
    const progress: Progress = {};
    const principal = principalKey(visitor.caller.subject);
    const turn = this.#pace.begin(principal, call.isChange, startedAtMs);
    let reply: ToolReply;
    if (turn.mayBegin) {
      const working = this.#safely(visitor, () => work(progress, argsDigest)).finally(() =>
        turn.end(),
      );
      reply = await inTime(working, () => this.#refused(visitor, tooSlow));
    } else {
      const { retryAfterMs } = turn;
      reply = this.#refused(visitor, refusal('rate_limited', tooFast, { retryAfterMs }));
    }
    const endedAtMs = system.nowMs();
    this.#ports.record({
      ...lineOf(visitor, call.tool, argsDigest, system.sha256Hex),
      ...progress,
      ...outcomeIn(reply),
      atMs: endedAtMs,
      durationMs: Math.max(0, Math.trunc(endedAtMs - startedAtMs)),
      policyBefore,
      policyAfter: policyDigest(context.control.snapshot().policy),
    });
    return reply;
  }

  async #safely(visitor: Visitor, work: () => Promise<ToolReply>): Promise<ToolReply> {
    try {
      return await work();
    } catch (fault) {
      this.#ports.onFault(fault, visitor.requestId);
      return this.#refused(visitor, refusal('internal', 'Postern met a defect.'));
    }
  }

  /** An answer counts with the state of the very question that it answers; without one, nobody was asked. */
  #agreement(
    { state, answer }: ToolCall,
    question: Question,
    nowMs: number,
  ): ToolContext['agreement'] | 'forged' {
    if (state === undefined) return 'none';
    if (!this.#consents.take(state, question, nowMs)) return 'forged';
    return agreementOf(answer);
  }

  #reply(
    visitor: Visitor,
    result: ToolResult,
    question: Question,
    context: OperationContext,
  ): ToolReply {
    if (result.kind === 'refused') return this.#refused(visitor, result.refusal);
    if (result.kind === 'ask') {
      const state = this.#consents.ask(question, context.control.system.nowMs());
      return { kind: 'ask', message: result.message, state };
    }
    const value = jsonOf(plainValue(result.value));
    if (JSON.stringify(value).length <= mcpLimits.answerCharsMax) return { kind: 'done', value };
    return this.#refused(visitor, tooLong);
  }

  #refused({ requestId }: Visitor, { code, message, param, retryAfterMs }: Refusal): ToolReply {
    const error: Record<string, JsonValue> = { code, message, fix: errorRow(code).fix };
    if (param !== undefined) error['param'] = param;
    if (retryAfterMs !== undefined) error['retry_after_s'] = Math.ceil(retryAfterMs / 1_000);
    error['request_id'] = requestId;
    return { kind: 'refused', error: jsonOf(plainValue(error)) };
  }

  #context(
    visitor: Visitor,
    context: OperationContext,
    {
      call,
      agreement,
      progress,
    }: {
      readonly call: ToolCall;
      readonly agreement: ToolContext['agreement'];
      readonly progress: Progress;
    },
  ): ToolContext {
    const { control } = context;
    const nowMs = control.system.nowMs();
    return {
      caller: visitor.caller,
      nowMs,
      agreement,
      canAsk: call.canAsk,
      perform: (name, input = {}) => perform(visitor, context, name, input),
      may: (name) => permitted(name, visitor).ok,
      plan: (id) => ownPlan(visitor, context, id),
      inventory: () => context.policy.tools.ports.inventory(),
      deliver: async (secret, name) => {
        if (visitor.place.kind === 'network') {
          const { origin } = visitor.place;
          return ok(this.#handoffs.keep(secret, { origin, nowMs }));
        }
        const kept = await this.#ports.keepFile(name, secret);
        if (!kept.ok) return kept;
        const path = kept.value;
        return ok({ how: 'file', path, command: `tailscale up --auth-key=file:${path}` });
      },
      note: (more) => void Object.assign(progress, more),
    };
  }
}

function perform(
  visitor: Visitor,
  context: OperationContext,
  name: OperationName,
  input: RawInput,
): Promise<Result<unknown, Refusal>> {
  const { requestId, caller, permit, connection } = visitor;
  const operation = operationsByName.get(name);
  if (operation === undefined) {
    return Promise.resolve(refuse('not_found', `There is no operation ${name} here.`));
  }
  const facts: RequestFacts = {
    requestId,
    caller,
    permit,
    channel: 'mcp',
    ...(connection === undefined ? {} : { connection }),
  };
  return performOperation(operation, context, facts, () => Promise.resolve(ok(input)));
}

function ownPlan(
  { caller }: Visitor,
  { control }: OperationContext,
  id: string,
): Result<PolicyPlan, Refusal> {
  const plan = findPlan(control.snapshot().policy, id);
  const isOwn = plan?.createdBy === principalKey(caller.subject);
  if (plan !== undefined && isOwn && plan.expiresAtMs > control.system.nowMs()) return ok(plan);
  return refuse('not_found', 'You have no such plan, or it has expired. Plan again.', {
    param: 'plan_id',
  });
}

function questionOf(
  { caller }: Visitor,
  tool: string,
  argsDigest: string,
  { control }: OperationContext,
): Question {
  const basis = policyDigest(control.snapshot().policy);
  return { principal: principalKey(caller.subject), tool, argsDigest, basis };
}

/** `{action: "accept", content: {confirm: true}}` and nothing else is a yes. */
function agreementOf(answer: unknown): ToolContext['agreement'] {
  if (typeof answer !== 'object' || answer === null) return 'none';
  const { action, content } = jsonOf(answer);
  if (action !== 'accept') return 'declined';
  const isYes = typeof content === 'object' && jsonOf(content)['confirm'] === true;
  return isYes ? 'given' : 'declined';
}

function lineOf(
  { requestId, caller, client }: Visitor,
  tool: string,
  argsDigest: string,
  sha256Hex: (text: string) => string,
): Pick<ToolLine, 'requestId' | 'actor' | 'client' | 'tool' | 'argsDigest'> {
  const { subject, via } = caller;
  return {
    requestId,
    actor: {
      principal: principalKey(subject),
      ...(via === undefined ? {} : { via: principalKey(via) }),
      channel: 'mcp',
    },
    ...(client === undefined ? {} : { client: clientName(client, sha256Hex) }),
    tool: toolName(tool, recordedTools, sha256Hex),
    argsDigest,
  };
}

function outcomeIn(reply: ToolReply): Pick<ToolLine, 'outcome' | 'code'> {
  if (reply.kind === 'done') return { outcome: 'allowed' };
  if (reply.kind === 'ask') return { outcome: 'asked' };
  if (reply.kind === 'unknown') return { outcome: 'refused', code: 'not_found' };
  if (reply.kind === 'bad-state') return { outcome: 'refused', code: 'invalid_request' };
  // Codes of refusals were written by `#refused`, from the table.
  const code = reply.error['code'] as NonNullable<ToolLine['code']>;
  return { outcome: outcomeOf(code), code };
}

function wrongInput(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): Refusal {
  const [issue] = issues;
  const param = issue?.path.map(String).join('.') ?? '';
  const message = issue?.message ?? 'does not fit';
  if (param === '') return refusal('invalid_request', message);
  return refusal('invalid_request', `${param}: ${message}`, { param });
}

const tooFast = 'Too many calls at once or in this minute.';
const tooSlow = refusal('upstream_timeout', 'This took too long and was given up. Ask for less.');
const tooLong = refusal('invalid_request', 'The answer is too long. Narrow the question.');

async function inTime(working: Promise<ToolReply>, late: () => ToolReply): Promise<ToolReply> {
  let timer: NodeJS.Timeout | undefined;
  const ending = new Promise<ToolReply>((resolve) => {
    timer = setTimeout(() => resolve(late()), mcpLimits.callMsMax);
    timer.unref();
  });
  const reply = await Promise.race([working, ending]);
  clearTimeout(timer);
  return reply;
}

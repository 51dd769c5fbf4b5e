import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import { principalKey } from '@postern/core/identity';
import type { Channel } from '@postern/core/state';
import type { ControlLine } from '../audit.ts';
import { outcomeOf } from '../audit.ts';
import type { Requester } from '../control.ts';
import type { AnyOperation, OperationContext, OperationName } from './operation.ts';

/** Whether a caller may do this. Asked before anything of the request is read. */
export type Permit = (caller: Caller, operation: OperationName) => Result<void, Refusal>;

/** What the listener knows about a request: whoever asks passes it, never the request itself. */
export interface RequestFacts {
  readonly requestId: string;
  readonly caller: Caller;
  readonly channel: Channel;
  readonly permit: Permit;
  /** The same object for all requests of one connection. */
  readonly connection?: object;
}

/** The three places of a request as they arrived; what is absent is empty. */
export interface RawInput {
  readonly params?: unknown;
  readonly query?: unknown;
  readonly body?: unknown;
}

/**
 * One operation from whatever door: permitted, its input read by its schemas, run, recorded. `read` is called once the
 * caller is permitted. What changes the state has its line from the journal's writer, with the record's index.
 */
export async function performOperation(
  operation: AnyOperation,
  context: OperationContext,
  facts: RequestFacts,
  read: () => Promise<Result<RawInput, Refusal>>,
): Promise<Result<unknown, Refusal>> {
  const by = requesterOf(facts);
  const allowed = permitted(operation.name, facts);
  const raw = allowed.ok ? await read() : allowed;
  const input = raw.ok ? inputOf(operation, raw.value) : raw;
  const { control } = context;
  const line = { operation: operation.name, actor: by.actor, requestId: facts.requestId };
  if (!input.ok) {
    const { code } = input.error;
    control.record({ ...line, atMs: control.system.nowMs(), outcome: 'refused', code });
    return input;
  }
  const result = await operation.run(context, input.value, by);
  if (!operation.changes) control.record({ ...line, ...outcome(result, control.system.nowMs()) });
  return result;
}

function outcome(
  result: Result<unknown, Refusal>,
  atMs: number,
): Pick<ControlLine, 'atMs' | 'outcome' | 'code'> {
  if (result.ok) return { atMs, outcome: 'allowed' };
  const { code } = result.error;
  return { atMs, outcome: outcomeOf(code), code };
}

export function requesterOf({ caller, channel, requestId, connection }: RequestFacts): Requester {
  const { subject, via, scope } = caller;
  return {
    actor: {
      principal: principalKey(subject),
      ...(via === undefined ? {} : { via: principalKey(via) }),
      channel,
    },
    ...(scope === undefined ? {} : { scope }),
    requestId,
    caller,
    ...(connection === undefined ? {} : { connection }),
  };
}

/** A credential that may not administer does not, whatever policy grants its owner. */
export function permitted(
  name: OperationName,
  { caller, permit }: Pick<RequestFacts, 'caller' | 'permit'>,
): Result<void, Refusal> {
  const mayAdminister =
    caller.subject.authority === 'key'
      ? caller.scope?.admin === true
      : caller.scope?.admin !== false;
  if (!mayAdminister) {
    return refuse('access_denied', 'This key is not one for administration (scope.admin).');
  }
  return permit(caller, name);
}

interface ParsedInput {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
}

function inputOf(operation: AnyOperation, raw: RawInput): Result<ParsedInput, Refusal> {
  const params = parsed(operation.params, raw.params ?? {});
  if (!params.ok) return params;
  const query = parsed(operation.query, raw.query ?? {});
  if (!query.ok) return query;
  const body = parsed(operation.body, raw.body ?? {});
  if (!body.ok) return body;
  return ok({ params: params.value, query: query.value, body: body.value });
}

function parsed(schema: z.ZodType | undefined, value: unknown): Result<unknown, Refusal> {
  if (schema === undefined) return ok({});
  const result = schema.safeParse(value);
  if (result.success) return ok(result.data);
  const issue = result.error.issues[0];
  const param = issue?.path.map(String).join('.') ?? '';
  const message = issue?.message ?? 'does not fit';
  if (param === '') return refuse('invalid_request', message);
  return refuse('invalid_request', `${param}: ${message}`, { param });
}

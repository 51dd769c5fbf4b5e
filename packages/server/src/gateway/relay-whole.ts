import type { JsonObject, JsonValue, Result, Soon } from '@postern/core/base';
import { andThen, err, isJsonObject, ok, readJson } from '@postern/core/base';
import type { Completion, Dialect, Usage } from '@postern/core/dialect';
import { answerChars, unfold } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { answerContext } from './answer-context.ts';
import { membersFrom } from './answer-tail.ts';
import { bufferOf } from './buffer-of.ts';
import { sinceReceivedMs } from './elapsed.ts';
import { gatewayLimits } from './limits.ts';
import type { RelayWay } from './relay-stream.ts';
import { eventChars } from './relay-stream.ts';
import type { Dispatched } from './stages.ts';
import type { Relayed } from './relayed.ts';

/** Whole answers are read to their end before the first byte goes out: a cut one is a 502 and not half a body. */
export function relayWhole(stage: Dispatched, way: RelayWay): Soon<Result<Relayed, Refusal>> {
  return andThen(stage.answer.readAll(gatewayLimits.answerBytesMax), (bytes) =>
    bytes.ok ? relayBytes(stage, way, bytes.value) : bytes,
  );
}

function relayBytes(
  stage: Dispatched,
  way: RelayWay,
  bytes: Uint8Array,
): Soon<Result<Relayed, Refusal>> {
  const { attempt, dialect } = stage;
  const passes = attempt.dialect === dialect && !stage.conversation.stream;
  const usage = passes ? usageAtEnd(dialect, bytes) : undefined;
  if (usage !== undefined && (usage.output > 0 || !writesWords(dialect))) {
    way.delivery.usage = usage;
    return send(stage, way, bytes);
  }
  const body = readJson(bytes);
  if (!body.ok || !isJsonObject(body.value)) {
    return err(refusal('upstream_error', 'The model server answered something that is not JSON.'));
  }
  if (passes) {
    way.delivery.usage = usageOf(stage, body.value);
    if (way.delivery.usage === undefined || way.delivery.usage.output === 0)
      way.delivery.chars = charsOf(stage, body.value, way.delivery.usage !== undefined);
    return send(stage, way, bytes);
  }
  const completion = attempt.dialect.decodeAnswer(body.value);
  if (!completion.ok) {
    // What nobody here can read was written and is billed all the same.
    way.delivery.usage = usageOf(stage, body.value);
    return completion;
  }
  way.delivery.usage = completion.value.usage ?? usageInHeaders(stage);
  if (stage.conversation.stream) return sendAsStream(stage, way, completion.value);
  way.delivery.chars = completionChars(completion.value);
  return send(
    stage,
    way,
    JSON.stringify(dialect.encodeAnswer(completion.value, answerContext(stage, way.clock))),
  );
}

/** What an answer says it used, in its body or beside it. */
function usageOf(stage: Dispatched, body: JsonObject): Usage | undefined {
  return stage.attempt.dialect.usageOfAnswer(body) ?? usageInHeaders(stage);
}

function usageInHeaders({ attempt, answer }: Dispatched): Usage | undefined {
  return attempt.dialect.usageOfHeaders?.((name) => answer.headers[name]);
}

/**
 * What an answer that passes through says it used, from its end: all of it was received, and whether the beginning is JSON
 * is between the one who wrote it and the one who asked for it.
 */
function usageAtEnd(dialect: Dialect, bytes: Uint8Array): Usage | undefined {
  const plain = dialect.glanceUsage?.(bytes);
  if (plain !== undefined) return plain;
  const { usageBeside, usageMember } = dialect;
  if (usageMember === undefined) return undefined;
  if (usageBeside?.some((mark) => bufferOf(bytes).includes(mark, 0, 'latin1'))) return undefined;
  const members = membersFrom(usageMember, bytes);
  return members === undefined ? undefined : dialect.usageOfAnswer(members);
}

/** One value for all answers, so that whoever writes heads may know it again. */
const jsonHeaders = Object.freeze({ 'content-type': 'application/json' });

function send(
  { reply, request }: Dispatched,
  { delivery, clock }: RelayWay,
  body: Uint8Array | string,
): Result<Relayed, Refusal> {
  delivery.firstByteMs = sinceReceivedMs(request, clock.nowMs());
  reply.send(200, jsonHeaders, body);
  return ok({ outcome: 'complete', refusal: undefined });
}

/** The caller asked for a stream and the server does not stream: the whole answer becomes one. */
async function sendAsStream(
  stage: Dispatched,
  { delivery, clock }: RelayWay,
  completion: Completion,
): Promise<Result<Relayed, Refusal>> {
  const { dialect, opening, request } = stage;
  const encoder = dialect.streamEncoder(answerContext(stage, clock));
  const out = opening.open();
  delivery.firstByteMs = sinceReceivedMs(request, clock.nowMs());
  for (const event of unfold(completion)) {
    delivery.chars += eventChars(event);
    // oxlint-disable-next-line no-await-in-loop -- back-pressure: each piece waits for the one before it
    if (!(await out.write(encoder.encode(event))))
      return ok({ outcome: 'aborted', refusal: undefined });
  }
  out.end();
  return ok({ outcome: 'complete', refusal: undefined });
}

/** Vectors are no output that anybody counts. */
function writesWords(dialect: Dialect): boolean {
  return dialect.name !== 'openai-embeddings';
}

/**
 * The model's words in an answer that passes through. Of one that has no form that we know it is all of it, unless it was
 * counted by who wrote it.
 */
function charsOf({ dialect }: Dispatched, body: JsonObject, isReported: boolean): number {
  if (!writesWords(dialect)) return 0;
  let chars = 0;
  for (const one of answersIn(body)) {
    const completion = dialect.decodeAnswer(one);
    if (!completion.ok) return isReported ? 0 : answerChars(JSON.stringify(body));
    chars += completionChars(completion.value);
  }
  return chars;
}

/** Each of several choices as an answer of its own, as whoever reads an answer takes the first of them. */
function answersIn(body: JsonObject): readonly JsonObject[] {
  const { choices } = body;
  if (!Array.isArray(choices) || choices.length < 2) return [body];
  return choices.map((choice: JsonValue) => ({ ...body, choices: [choice] }));
}

function completionChars(completion: Completion): number {
  return unfold(completion).reduce((sum, event) => sum + eventChars(event), 0);
}

import type { Result } from '@postern/core/base';
import { err, isJsonObject, ok, readJson } from '@postern/core/base';
import type { AnswerContext, Usage } from '@postern/core/dialect';
import { unfold } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { gatewayLimits } from './limits.ts';
import type { GatewayClock } from './ports.ts';
import { streamHeaders } from './relay-stream.ts';
import type { Dispatched, Relayed } from './stages.ts';

/** Whole answers are read to their end before the first byte goes out: a cut one is a 502 and not half a body. */
export async function relayWhole(
  stage: Dispatched,
  context: AnswerContext,
  clock: GatewayClock,
): Promise<Result<Relayed, Refusal>> {
  const { answer, attempt, dialect, reply, request } = stage;
  const body = await answer.readAll(gatewayLimits.answerBytesMax);
  if (!body.ok) return body;
  const parsed = readJson(body.value);
  if (!parsed.ok || !isJsonObject(parsed.value)) {
    return err(refusal('upstream_error', 'The model server answered something that is not JSON.'));
  }
  const isSame = attempt.dialect === dialect;
  if (isSame && !stage.conversation.stream) {
    const usage = attempt.dialect.usageOfAnswer(parsed.value);
    reply.send(200, { 'content-type': 'application/json' }, body.value);
    return ok(whole(usage, body.value.length, clock.nowMs() - request.receivedAtMs));
  }
  const completion = attempt.dialect.decodeAnswer(parsed.value);
  if (!completion.ok) return completion;
  const durationMs = clock.nowMs() - request.receivedAtMs;
  if (stage.conversation.stream) {
    // The caller asked for a stream and the server does not stream: the whole answer becomes one.
    const encoder = dialect.streamEncoder(context);
    const out = reply.start(200, streamHeaders(dialect.streamContentType));
    for (const event of unfold(completion.value)) await out.write(encoder.encode(event));
    out.end();
    return ok(whole(completion.value.usage, body.value.length, durationMs));
  }
  const encoded = dialect.encodeAnswer(completion.value, context);
  reply.send(200, { 'content-type': 'application/json' }, JSON.stringify(encoded));
  return ok(whole(completion.value.usage, body.value.length, durationMs));
}

function whole(usage: Usage | undefined, deliveredChars: number, firstByteMs: number): Relayed {
  return { outcome: 'complete', refusal: undefined, usage, deliveredChars, firstByteMs };
}

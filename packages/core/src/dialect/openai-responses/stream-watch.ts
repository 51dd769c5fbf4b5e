import type { JsonObject } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext, StreamWatcher } from '../dialect.ts';
import { answerChars } from '../estimate.ts';
import { rawReader } from '../frame-reader.ts';
import type { Usage } from '../model.ts';
import { eventOf, failureFrames } from './error.ts';
import { ApartCount, usageOfResponse } from './usage.ts';

/** Watches a Responses stream pass through: every frame goes on as it came, but for errors. */
export function streamWatcher(context: AnswerContext): StreamWatcher {
  let usage: Usage | undefined;
  const beside = new ApartCount();
  let delivered = 0;
  let isDone = false;
  let sequence = -1;
  let response: JsonObject = { id: `resp_${context.requestId}`, object: 'response', output: [] };

  const charge = (ended: JsonObject): void => {
    const said = usageOfResponse(ended);
    if (said !== undefined) usage = beside.within(said);
  };
  const look = (type: string, event: JsonObject): void => {
    const { delta, sequence_number: number } = event;
    if (typeof number === 'number' && Number.isSafeInteger(number)) sequence = number;
    if (typeof delta === 'string') delivered += answerChars(delta);
    if (isJsonObject(event['response'])) {
      ({ response } = event as { response: JsonObject });
      charge(response);
    }
    beside.look(type, event);
    if (!isTerminal(type)) return;
    beside.end();
    isDone = true;
  };

  const reader = rawReader({
    read(frame, out) {
      const read = isDone ? undefined : eventOf(frame, charge);
      if (read !== undefined) look(read.type, read.event);
      out.push(frame.raw);
    },
    isDone: () => isDone,
  });
  return {
    ...reader,
    usage: () => usage,
    deliveredChars: () => delivered,
    apart: () => beside.soFar(),
    encodeRefusal: (refusal: Refusal) =>
      failureFrames(refusal, { sequence: sequence + 1, response }),
  };
}

/** The events that a whole stream ends with. */
export function isTerminal(type: string): boolean {
  return type === 'response.completed' || type === 'response.incomplete';
}

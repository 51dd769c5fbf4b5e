import { answerChars } from '../estimate.ts';
import type { EventStreamMessage } from '../../base/event-stream/index.ts';
import type { JsonObject } from '../../base/index.ts';
import { fromBase64, jsonObjectOf, toBase64, utf8, utf8Text } from '../../base/index.ts';
import { EventReader } from '../anthropic-messages/stream-decode.ts';
import { streamEncoder as messagesEncoder } from '../anthropic-messages/stream-encode.ts';
import { EventMeter } from '../anthropic-messages/stream-watch.ts';
import { raiseRefusal } from '../attempt.ts';
import { eventFrame, eventOf, eventStreamFraming } from '../bedrock-converse/frames.ts';
import type { AnswerContext, StreamDecoder, StreamEncoder, StreamWatcher } from '../dialect.ts';
import { bytesOf, readerOf } from '../frame-reader.ts';
import type { StreamEvent } from '../model.ts';
import { protocolRefusal, refusalOfFrame } from '../upstream-error.ts';
import { metricsOf } from './vendor-body.ts';

/** Streams of InvokeModel: each `chunk` holds one event of a Messages stream, its JSON text as base64. */

/** Reads a stream. Only `message_stop` ends it. */
export function streamDecoder(): StreamDecoder {
  const reader = new EventReader();
  return {
    ...readerOf<StreamEvent, EventStreamMessage>(eventStreamFraming(), {
      read(message, events) {
        const event = reader.isDone ? undefined : chunkOf(message);
        if (event !== undefined) reader.read(event, events);
      },
      isDone: () => reader.isDone,
    }),
    apart: () => reader.searches.soFar(),
  };
}

export function streamEncoder(context: AnswerContext): StreamEncoder {
  return messagesEncoder(context, (_type, event) =>
    eventFrame('chunk', { bytes: toBase64(utf8(JSON.stringify(event))) }),
  );
}

/** Watches a stream pass through: every message goes on as it came, but for exceptions. */
export function streamWatcher(): StreamWatcher {
  const meter = new EventMeter();
  const reader = readerOf<Uint8Array, EventStreamMessage>(eventStreamFraming(), {
    read(message, out) {
      const event = meter.isDone ? undefined : chunkOf(message);
      if (event !== undefined) lookAt(event, meter);
      out.push(message.raw);
    },
    isDone: () => meter.isDone,
  });
  return {
    ...bytesOf(reader),
    usage: () => meter.usage,
    deliveredChars: () => meter.delivered,
    apart: () => meter.searches.soFar(),
  };
}

/** Events of Messages have a type; those of other vendors end with Amazon's own counts. */
function lookAt(event: JsonObject, meter: EventMeter): void {
  if (typeof event['type'] === 'string') {
    meter.look(event);
    return;
  }
  const usage = metricsOf(event);
  if (usage === undefined) {
    meter.delivered += answerChars(JSON.stringify(event));
    return;
  }
  meter.usage = usage;
  meter.isDone = true;
}

/** The event in a chunk; other kinds of messages are new and skipped. */
function chunkOf(message: EventStreamMessage): JsonObject | undefined {
  const { type, body } = eventOf(message);
  if (type !== 'chunk') return undefined;
  const { bytes } = body;
  const decoded = typeof bytes === 'string' ? fromBase64(bytes) : undefined;
  const text = decoded === undefined ? undefined : utf8Text(decoded);
  const event = text === undefined ? undefined : jsonObjectOf(text);
  if (event === undefined) {
    return raiseRefusal(protocolRefusal('a chunk that is not a JSON object in base64'));
  }
  return event['type'] === 'error' ? raiseRefusal(refusalOfFrame(event)) : event;
}

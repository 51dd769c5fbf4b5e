import type { SseFrame } from '../../base/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { StreamDecoder } from '../dialect.ts';
import { Fields } from '../fields.ts';
import { frameReader } from '../frame-reader.ts';
import type { StreamEvent } from '../model.ts';
import { protocolRefusal } from '../upstream-error.ts';
import { decodeStop } from './answer.ts';
import { eventOf } from './error.ts';
import { decodeOutput } from './items-decode.ts';
import { ItemReader } from './items-read.ts';
import { isTerminal } from './stream-watch.ts';
import { ApartCount, usageOfResponse } from './usage.ts';

/** Reads a Responses stream. Only `response.completed` and `response.incomplete` end it. */
export function streamDecoder(): StreamDecoder {
  const reader = new EventReader();
  return {
    ...frameReader<StreamEvent>({
      read: (frame, events) => reader.read(frame, events),
      isDone: () => reader.isDone,
    }),
    apart: () => reader.beside.soFar(),
  };
}

class EventReader {
  isDone = false;
  readonly beside: ApartCount = new ApartCount();
  #isStarted = false;
  readonly #items = new ItemReader();

  read(frame: SseFrame, events: StreamEvent[]): void {
    if (this.isDone) return;
    const read = eventOf(frame);
    if (read === undefined) return;
    const { type, event } = read;
    const fields = new Fields(event);
    const response = lifecycle.has(type) ? fields.object('response') : undefined;
    if (response !== undefined) this.#start(response, events);
    else if (this.#items.knows(type)) {
      if (!this.#isStarted) raiseRefusal(protocolRefusal(`${type} before response.created`));
      this.#items.read(type, fields, events);
      this.beside.look(type, event);
    }
    // Other kinds of events tell of the server's own tools, or are new: they change nothing that is said.
    if (response !== undefined && isTerminal(type)) this.#end(response, events);
  }

  #start(response: Fields, events: StreamEvent[]): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const created = response.optionalNumber('created_at');
    events.push({
      kind: 'start',
      id: response.optionalText('id') ?? '',
      model: response.optionalText('model') ?? '',
      ...(created === undefined ? {} : { created: Math.floor(created) }),
    });
  }

  #end(response: Fields, events: StreamEvent[]): void {
    const output = response.optionalObjects('output') ?? [];
    this.#items.finish(output, events);
    const usage = usageOfResponse(response.value);
    this.beside.end();
    if (usage !== undefined) events.push({ kind: 'usage', usage: this.beside.within(usage) });
    // Some servers leave the output out of the last event: what was streamed counts all the same.
    const content = [...decodeOutput(output), ...this.#items.marks()];
    events.push({ kind: 'finish', stop: decodeStop(response, content) }, { kind: 'end' });
    this.isDone = true;
  }
}

const lifecycle: ReadonlySet<string> = new Set([
  'response.created',
  'response.queued',
  'response.in_progress',
  'response.completed',
  'response.incomplete',
]);

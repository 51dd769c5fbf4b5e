import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type { Completion, Part, StopReason } from '../model.ts';
import { sharedStop, stopWords } from '../stop-words.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { raiseIfError } from '../upstream-error.ts';
import { noUsage, usageForAnthropic, usageOfAnthropic } from '../usage.ts';
import { decodeBlocks } from './blocks-decode.ts';
import { encodeToolUse } from './blocks-encode.ts';

/** Whole answers: `message` objects. */

const dialect = 'anthropic-messages';
const known: ReadonlySet<string> = new Set([
  'id',
  'type',
  'role',
  'model',
  'content',
  'stop_reason',
  'stop_sequence',
  'usage',
]);

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const stopSequence = answer.optionalText('stop_sequence');
    const usage = usageOfAnthropic(answer.raw('usage'), undefined);
    const fields = answer.others(known);
    if (!answer.has('content')) answer.missing('content', 'an array of blocks');
    return {
      id: answer.optionalText('id') ?? '',
      model: answer.optionalText('model') ?? '',
      content: decodeBlocks(answer),
      stop: decodeStop(answer.text('stop_reason')),
      ...(stopSequence === undefined ? {} : { stopSequence }),
      ...(usage === undefined ? {} : { usage }),
      ...(Object.keys(fields).length === 0 ? {} : { extensions: { dialect, fields } }),
    };
  });
}

export function decodeStop(reason: string): StopReason {
  if (reason === 'pause_turn') return 'pause';
  return reason === 'refusal' ? 'refusal' : sharedStop(reason);
}

export function encodeStop(stop: StopReason): string {
  switch (stop) {
    case 'pause':
      return 'pause_turn';
    case 'content-filter':
    case 'refusal':
      return 'refusal';
    case 'end':
    case 'length':
    case 'stop-sequence':
    case 'tool-calls':
      return stopWords[stop];
  }
}

/** Completion → `message`. Where the upstream gave no usage, the counts are 0: the field is mandatory here. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { extensions } = completion;
  return {
    id: messageId(completion.id, context),
    type: 'message',
    role: 'assistant',
    model: completion.model === '' ? context.model : completion.model,
    content: completion.content.flatMap((part) => encodeAnswerBlock(part) ?? []),
    stop_reason: encodeStop(completion.stop),
    stop_sequence: completion.stopSequence ?? null,
    usage: usageForAnthropic(completion.usage ?? noUsage),
    ...(extensions?.dialect === dialect ? extensions.fields : {}),
  };
}

export function messageId(id: string, context: AnswerContext): string {
  return id === '' ? `msg_${context.requestId}` : id;
}

/** Answers hold fewer kinds than requests, and reasoning without a signature is shown, since a caller may read it. */
function encodeAnswerBlock(part: Part): JsonObject | undefined {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? undefined : { type: 'text', text: part.text };
    case 'thinking':
      return { type: 'thinking', thinking: part.text, signature: part.signature ?? '' };
    case 'redacted-thinking':
      return { type: 'redacted_thinking', data: part.data };
    case 'tool-call':
      return encodeToolUse(part);
    case 'foreign':
      return part.dialect === dialect ? part.value : undefined;
    case 'image':
    case 'document':
    case 'audio':
    case 'tool-result':
      return undefined;
  }
}

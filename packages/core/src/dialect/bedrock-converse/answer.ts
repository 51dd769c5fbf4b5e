import type { JsonObject, Result } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type { Completion, Part } from '../model.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { raiseIfError } from '../upstream-error.ts';
import { noUsage } from '../usage.ts';
import { decodeBlocks } from './blocks-decode.ts';
import { encodeReasoning, encodeToolUse } from './blocks-encode.ts';
import { decodeStop, encodeStop } from './stop.ts';
import { usageForConverse, usageOfConverse } from './usage.ts';

/** Whole answers of Converse. They name neither themselves nor the model. */

const dialect = 'bedrock-converse';
const known: ReadonlySet<string> = new Set(['output', 'stopReason', 'usage', 'metrics']);

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const usage = usageOfConverse(answer.raw('usage'));
    const fields = answer.others(known);
    const stop = decodeStop(answer.text('stopReason'));
    const stopSequence = stopSequenceOf(fields['additionalModelResponseFields']);
    return {
      id: '',
      model: '',
      content: decodeBlocks(answer.object('output').object('message'), 'content'),
      stop,
      ...(stopSequence === undefined ? {} : { stopSequence }),
      ...(usage === undefined ? {} : { usage }),
      ...(Object.keys(fields).length === 0 ? {} : { extensions: { dialect, fields } }),
    };
  });
}

/** Anthropic's models say so where they are asked for it. */
export function stopSequenceOf(fields: JsonObject[string] | undefined): string | undefined {
  const value = isJsonObject(fields) ? fields['stop_sequence'] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** Completion → answer of Converse. Where the upstream gave no usage, the counts are 0: the field is mandatory here. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { extensions } = completion;
  const content = completion.content.flatMap((part) => encodeAnswerBlock(part) ?? []);
  return {
    output: { message: { role: 'assistant', content } },
    stopReason: encodeStop(completion.stop),
    usage: usageForConverse(completion.usage ?? noUsage),
    metrics: { latencyMs: latencyMs(context) },
    ...(extensions?.dialect === dialect ? extensions.fields : {}),
  };
}

export function latencyMs(context: AnswerContext): number {
  return Math.max(0, (context.clock?.() ?? context.nowMs) - context.receivedAtMs);
}

/** Answers hold fewer kinds than requests. Reasoning without a signature is shown, since a caller may read it. */
function encodeAnswerBlock(part: Part): JsonObject | undefined {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return part.text === '' ? undefined : { text: part.text };
    case 'thinking':
    case 'redacted-thinking':
      return encodeReasoning(part);
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

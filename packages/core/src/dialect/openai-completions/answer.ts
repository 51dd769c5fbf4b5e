import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type { Completion, Part, StopReason } from '../model.ts';
import { createdOf } from '../openai-chat/answer.ts';
import { decodeStop, encodeStop } from '../openai-chat/stop.ts';
import type { Said } from '../openai-chat/stop.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { protocolRefusal, raiseIfError } from '../upstream-error.ts';
import { usageForOpenAi, usageOfOpenAi } from '../usage.ts';

/** Whole answers: `text_completion` objects. */

const dialect = 'openai-completions';
const known: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'choices',
  'usage',
]);
export const plain: Said = Object.freeze({ hasToolCall: false, hasRefusal: false });

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const [choice] = answer.objects('choices');
    if (choice === undefined) return raiseRefusal(protocolRefusal('an answer without choices'));
    const text = choice.text('text');
    const usage = usageOfOpenAi(answer.raw('usage'));
    const created = answer.optionalNumber('created');
    const fields = answer.others(known);
    return {
      id: answer.optionalText('id') ?? '',
      model: answer.optionalText('model') ?? '',
      content: text === '' ? [] : [{ kind: 'text' as const, text }],
      stop: decodeStop(choice.text('finish_reason'), plain),
      ...(usage === undefined ? {} : { usage }),
      ...(created === undefined ? {} : { created: Math.floor(created) }),
      ...(Object.keys(fields).length === 0
        ? {}
        : { extensions: { dialect: 'openai-completions' as const, fields } }),
    };
  });
}

/** Completion → `text_completion`: what the model says in words. Reasoning has no place here. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { extensions } = completion;
  return {
    id: completionId(completion.id, context),
    object: 'text_completion',
    created: createdOf(completion.created, context),
    model: completion.model === '' ? context.model : completion.model,
    choices: [
      {
        text: saidText(completion.content),
        index: 0,
        logprobs: null,
        finish_reason: finishReason(completion.stop),
      },
    ],
    ...(completion.usage === undefined ? {} : { usage: usageForOpenAi(completion.usage) }),
    ...(extensions?.dialect === dialect ? extensions.fields : {}),
  };
}

export function completionId(id: string, context: AnswerContext): string {
  return id === '' ? `cmpl-${context.requestId}` : id;
}

export function finishReason(stop: StopReason): string {
  return encodeStop(stop, plain, false);
}

/** The words of an answer: text and refusals in order. */
export function saidText(content: readonly Part[]): string {
  return content
    .map((part) => (part.kind === 'text' || part.kind === 'refusal' ? part.text : ''))
    .join('');
}

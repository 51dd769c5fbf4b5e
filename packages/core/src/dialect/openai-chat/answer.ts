import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields, defined } from '../fields.ts';
import type { Completion, Part } from '../model.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { protocolRefusal, raiseIfError } from '../upstream-error.ts';
import { atTierOf, usageForOpenAi, usageOfOpenAi } from '../usage.ts';
import { argumentsOf } from './messages-decode.ts';
import { decodeContent } from './parts.ts';
import { decodeStop, encodeStop } from './stop.ts';
import type { Said } from './stop.ts';
import { encodeToolCall } from './request-encode.ts';
import { encodeThinking, withThinking } from './thinking.ts';

/** Whole answers: `chat.completion` objects. */

const known: ReadonlySet<string> = new Set([
  'id',
  'object',
  'created',
  'model',
  'choices',
  'usage',
]);

/** The first choice: more than one is asked for between equal dialects only, where answers pass through unread. */
export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const [choice] = answer.objects('choices');
    if (choice === undefined) return raiseRefusal(protocolRefusal('an answer without choices'));
    const message = choice.object('message');
    const id = answer.optionalText('id') ?? '';
    const content = decodeMessage(message, id);
    const usage = atTierOf(body, usageOfOpenAi(answer.raw('usage')));
    const created = answer.optionalNumber('created');
    const fields = answer.others(known);
    return {
      id,
      model: answer.optionalText('model') ?? '',
      content,
      stop: decodeStop(choice.text('finish_reason'), saidIn(content)),
      ...(usage === undefined ? {} : { usage }),
      ...(created === undefined ? {} : { created: Math.floor(created) }),
      ...(Object.keys(fields).length === 0
        ? {}
        : { extensions: { dialect: 'openai-chat' as const, fields } }),
    };
  });
}

function decodeMessage(message: Fields, id: string): readonly Part[] {
  const content: Part[] = [...decodeContent(message)];
  const refusal = message.optionalText('refusal');
  if (refusal !== undefined && refusal !== '') content.push({ kind: 'refusal', text: refusal });
  const legacy = message.optionalObject('function_call');
  if (legacy !== undefined) {
    const name = legacy.text('name');
    content.push({ kind: 'tool-call', id: callIdOf(id, 0), name, arguments: argumentsOf(legacy) });
  }
  for (const [index, call] of (message.optionalObjects('tool_calls') ?? []).entries()) {
    if ((call.optionalText('type') ?? 'function') !== 'function') {
      content.push({ kind: 'foreign', dialect: 'openai-chat', value: call.value });
      continue;
    }
    const called = call.object('function');
    content.push({
      kind: 'tool-call',
      id: call.optionalText('id') ?? callIdOf(id, index),
      name: called.text('name'),
      arguments: argumentsOf(called),
    });
  }
  return withThinking(message, content);
}

/** An id for a call that the server gave none: unique in the conversation, since the answer's id is. */
export function callIdOf(answerId: string, index: number): string {
  return `call_${answerId.replaceAll(/[^A-Za-z0-9_-]/g, '_')}_${index}`;
}

export function saidIn(content: readonly Part[]): Said {
  return {
    hasToolCall: content.some(
      (part) => part.kind === 'tool-call' || (part.kind === 'foreign' && isCall(part.value)),
    ),
    hasRefusal: content.some((part) => part.kind === 'refusal'),
  };
}

function isCall(value: JsonObject): boolean {
  return typeof value['type'] === 'string' && Object.hasOwn(value, 'id');
}

/** Completion → `chat.completion`. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { content, extensions } = completion;
  const isLegacy = context.legacyFunctions ?? false;
  return {
    id: answerId(completion.id, context),
    object: 'chat.completion',
    created: createdOf(completion.created, context),
    model: completion.model === '' ? context.model : completion.model,
    choices: [
      {
        index: 0,
        message: encodeMessage(content, isLegacy),
        logprobs: null,
        finish_reason: encodeStop(completion.stop, saidIn(content), isLegacy),
      },
    ],
    ...(completion.usage === undefined ? {} : { usage: usageForOpenAi(completion.usage) }),
    ...(extensions?.dialect === 'openai-chat' ? extensions.fields : {}),
  };
}

export function answerId(id: string, context: AnswerContext): string {
  return id === '' ? `chatcmpl-${context.requestId}` : id;
}

export function createdOf(created: number | undefined, context: AnswerContext): number {
  return created ?? Math.floor(context.nowMs / 1000);
}

function encodeMessage(content: readonly Part[], isLegacy: boolean): JsonObject {
  const text = textOf(content, 'text');
  const refusal = textOf(content, 'refusal');
  const calls = content.flatMap((part) => {
    if (part.kind === 'tool-call') return [part];
    return [];
  });
  const foreign = content.flatMap((part) =>
    part.kind === 'foreign' && part.dialect === 'openai-chat' ? [part.value] : [],
  );
  const [first] = calls;
  const legacy = isLegacy && first !== undefined;
  const toolCalls = [...calls.map(encodeToolCall), ...foreign];
  return defined({
    role: 'assistant',
    content: text,
    refusal,
    ...encodeThinking(content),
    function_call: legacy ? { name: first.name, arguments: first.arguments } : undefined,
    tool_calls: legacy || toolCalls.length === 0 ? undefined : toolCalls,
  });
}

function textOf(content: readonly Part[], kind: 'text' | 'refusal'): string | null {
  const texts = content.flatMap((part) => (part.kind === kind ? [part.text] : []));
  return texts.length === 0 ? null : texts.join('');
}

import type { JsonObject, Result } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { raiseRefusal } from '../attempt.ts';
import type { AnswerContext } from '../dialect.ts';
import { Fields } from '../fields.ts';
import type { Completion, Part, StopReason } from '../model.ts';
import { createdOf } from '../openai-chat/answer.ts';
import { upstreamAttempt } from '../upstream-attempt.ts';
import { protocolRefusal, raiseIfError } from '../upstream-error.ts';
import { decodeOutput, isClientCall } from './items-decode.ts';
import { dialect, outputPart } from './parts.ts';
import { encodeReasoning, encryptedContent } from './reasoning.ts';
import {
  incompleteReason,
  itemId,
  nowSeconds,
  resourceNames,
  responseId,
  responseObject,
} from './resource.ts';
import { namesOfCall } from './namespace.ts';
import { usageOfResponse } from './usage.ts';

/** Whole answers: `response` objects. */

export function decodeAnswer(body: JsonObject): Result<Completion, Refusal> {
  return upstreamAttempt(() => {
    raiseIfError(body);
    const answer = new Fields(body);
    const content = decodeOutput(answer.objects('output'));
    const usage = usageOfResponse(body);
    const created = answer.optionalNumber('created_at');
    const fields = answer.others(resourceNames);
    return {
      id: answer.optionalText('id') ?? '',
      model: answer.optionalText('model') ?? '',
      content,
      stop: decodeStop(answer, content),
      ...(usage === undefined ? {} : { usage }),
      ...(created === undefined ? {} : { created: Math.floor(created) }),
      ...(Object.keys(fields).length === 0 ? {} : { extensions: { dialect, fields } }),
    };
  });
}

/** A status or a reason that nobody documents is a breach: to call it an end would make a broken answer look whole. */
export function decodeStop(response: Fields, content: readonly Part[]): StopReason {
  const status = response.text('status');
  if (status === 'completed') {
    if (content.some(isCall)) return 'tool-calls';
    return content.some((part) => part.kind === 'refusal') ? 'refusal' : 'end';
  }
  const reason = response.optionalObject('incomplete_details')?.optionalText('reason') ?? '';
  if (status === 'incomplete') {
    if (reason === 'max_output_tokens' || reason === 'max_tokens') return 'length';
    if (reason === 'content_filter') return 'content-filter';
  }
  const said = JSON.stringify(`${status} ${reason}`.trim().slice(0, 40));
  return raiseRefusal(protocolRefusal(`it ended its answer with ${said}`));
}

function isCall(part: Part): boolean {
  return part.kind === 'tool-call' || (part.kind === 'foreign' && isClientCall(part.value));
}

/** Completion → `response`. */
export function encodeAnswer(completion: Completion, context: AnswerContext): JsonObject {
  const { content, extensions, stop } = completion;
  const hasRefusal = content.some((part) => part.kind === 'refusal');
  const reason = incompleteReason(stop, hasRefusal);
  const state = {
    id: responseId(completion.id, context),
    model: completion.model === '' ? context.model : completion.model,
    createdAt: createdOf(completion.created, context),
    output: encodeOutput(content, context, reason !== undefined),
    usage: completion.usage,
  };
  const object =
    reason === undefined
      ? { ...state, status: 'completed' as const, completedAt: nowSeconds(context) }
      : { ...state, status: 'incomplete' as const, incompleteReason: reason };
  return {
    ...responseObject(object, context),
    ...(extensions?.dialect === dialect ? extensions.fields : {}),
  };
}

/** Parts → output items. Texts that follow each other are one message; the item that a cut answer ends with is marked. */
function encodeOutput(
  content: readonly Part[],
  context: AnswerContext,
  isCut: boolean,
): readonly JsonObject[] {
  const items: JsonObject[] = [];
  let said: JsonObject[] = [];
  const flush = (): void => {
    if (said.length === 0) return;
    items.push(messageItem(itemId('msg', items.length, context), said, 'completed'));
    said = [];
  };
  for (const part of content) {
    if (part.kind === 'text' || part.kind === 'refusal') {
      if (part.text !== '') said.push(outputPart(part.kind, part.text));
      continue;
    }
    const before = said.length > 0 ? items.length + 1 : items.length;
    const item = encodeItem(part, before, context);
    if (item === undefined) continue;
    flush();
    items.push(item);
  }
  flush();
  const last = items.at(-1);
  if (isCut && last !== undefined && Object.hasOwn(last, 'status')) {
    items[items.length - 1] = { ...last, status: 'incomplete' };
  }
  return items;
}

/** Parts that only requests hold cannot occur, and what another format alone knows has no word here. */
function encodeItem(part: Part, index: number, context: AnswerContext): JsonObject | undefined {
  switch (part.kind) {
    case 'tool-call':
      return callItem(itemId('fc', index, context), part, 'completed', context);
    case 'thinking':
    case 'redacted-thinking': {
      const text = part.kind === 'thinking' ? part.text : '';
      return encodeReasoning(itemId('rs', index, context), text, encryptedContent(part));
    }
    case 'foreign':
      return part.dialect === dialect ? part.value : undefined;
    case 'text':
    case 'refusal':
    case 'image':
    case 'document':
    case 'audio':
    case 'tool-result':
      return undefined;
  }
}

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

export function messageItem(
  id: string,
  content: readonly JsonObject[],
  status: ItemStatus,
): JsonObject {
  return { type: 'message', id, status, role: 'assistant', content };
}

export function callItem(
  id: string,
  call: { readonly id: string; readonly name: string; readonly arguments: string },
  status: ItemStatus,
  context: AnswerContext,
): JsonObject {
  return {
    type: 'function_call',
    id,
    call_id: call.id,
    ...namesOfCall(call.name, context),
    arguments: call.arguments,
    status,
  };
}

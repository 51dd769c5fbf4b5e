import type { JsonObject, Result } from '../../base/index.ts';
import { editMembers, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt, raise, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { extensionsFor } from '../extensions.ts';
import { Fields, defined } from '../fields.ts';
import type { Conversation, Part } from '../model.ts';

/** Requests of `/ask`: `{"prompt", "model"?, "system"?, "stream"?}`. */

const known: ReadonlySet<string> = new Set(['prompt', 'model', 'system', 'stream']);

export function decodeRequest(body: JsonObject): Result<Conversation, Refusal> {
  return attempt(() => {
    const fields = new Fields(body);
    const [unknown] = Object.keys(fields.others(known));
    if (unknown !== undefined) {
      // The route is small on purpose; a field that does nothing would be believed to do something.
      raise(
        'invalid_request',
        `/ask takes prompt, model, system and stream, not ${JSON.stringify(unknown.slice(0, 60))}; /v1/chat/completions takes more.`,
        { param: unknown },
      );
    }
    const prompt = fields.text('prompt');
    if (prompt.trim() === '') {
      raise('invalid_request', 'prompt has to hold a question.', { param: 'prompt' });
    }
    const system = fields.optionalText('system') ?? '';
    const stream = fields.optionalFlag('stream') ?? false;
    return {
      model: fields.optionalText('model'),
      stream,
      streamUsage: stream,
      system: system === '' ? [] : [{ kind: 'text' as const, text: system }],
      messages: [{ role: 'user' as const, content: [{ kind: 'text' as const, text: prompt }] }],
      tools: [],
      extensions: { dialect: 'ask' as const, fields: {} },
    };
  });
}

/** Conversation → `/ask` of another Postern: one question, with a system prompt at most. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const unable = 'the upstream answers single questions only.';
    const [message] = conversation.messages;
    if (message?.role !== 'user' || conversation.messages.length !== 1) {
      return raiseUnsupported('messages', unable);
    }
    if (conversation.tools.length > 0) raiseUnsupported('tools', unable);
    if ((conversation.format?.kind ?? 'text') !== 'text')
      raiseUnsupported('response_format', unable);
    for (const name of unsayable) {
      if (conversation[name] !== undefined) raiseUnsupported(name, unable);
    }
    const system = textOf(conversation.system, 'system');
    return {
      ...defined({
        prompt: textOf(message.content, 'messages.0.content'),
        model: target.model,
        system: system === '' ? undefined : system,
        stream: conversation.stream ? true : undefined,
      }),
      ...extensionsFor(conversation, 'ask'),
    };
  });
}

const unsayable = [
  'maxOutputTokens',
  'temperature',
  'topP',
  'topK',
  'stop',
  'seed',
  'presencePenalty',
  'frequencyPenalty',
  'choices',
] as const;

function textOf(parts: readonly Part[], path: string): string {
  return parts
    .map((part, index) =>
      part.kind === 'text'
        ? part.text
        : raiseUnsupported(`${path}.${index}`, 'the upstream takes text only.'),
    )
    .join('\n\n');
}

/** The caller's own text with the model set. The route has no cap of its own to set. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  return ok(editMembers(objectText(text), { set: { model: patch.model } }));
}

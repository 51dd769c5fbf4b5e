import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf } from '../../base/index.ts';
import { raiseUnsupported } from '../attempt.ts';
import { defined } from '../fields.ts';
import type { ImageSource, Part } from '../model.ts';
import { isSealedByOpenAi } from '../openai-responses/reasoning.ts';
import { invalidJsonKey } from './blocks-decode.ts';

/** Parts → content blocks of Anthropic's format. */

const dialect = 'anthropic-messages';

/** The block of a part, undefined where the part cannot be sent and nothing is lost by it. */
export function encodeBlock(part: Part, path: string): JsonObject | undefined {
  switch (part.kind) {
    case 'text':
      // The provider refuses empty text blocks.
      return part.text === ''
        ? undefined
        : defined({ type: 'text', text: part.text, cache_control: part.cache });
    case 'refusal':
      return part.text === '' ? undefined : { type: 'text', text: part.text };
    case 'image':
      return defined({
        type: 'image',
        source: encodeSource(part.source),
        cache_control: part.cache,
      });
    case 'document':
      return encodeDocument(part);
    case 'thinking':
      // Only its signer accepts a thinking block, and only with the signature.
      return part.signature === undefined || isSealedByOpenAi(part)
        ? undefined
        : { type: 'thinking', thinking: part.text, signature: part.signature };
    case 'redacted-thinking':
      return { type: 'redacted_thinking', data: part.data };
    case 'tool-call':
      return encodeToolUse(part);
    case 'tool-result':
      return encodeToolResult(part, path);
    case 'audio':
      return raiseUnsupported(path, 'the model that would answer does not take audio.');
    case 'foreign':
      if (part.dialect === dialect) return part.value;
      return raiseUnsupported(
        path,
        'the model that would answer does not know this kind of block.',
      );
  }
}

export function encodeBlocks(parts: readonly Part[], path: string): readonly JsonObject[] {
  return parts.flatMap<JsonObject>((part, index) => encodeBlock(part, `${path}.${index}`) ?? []);
}

function encodeSource(source: ImageSource): JsonObject {
  return source.kind === 'url'
    ? { type: 'url', url: source.url }
    : { type: 'base64', media_type: source.mediaType, data: source.data };
}

function encodeDocument(part: Extract<Part, { kind: 'document' }>): JsonObject {
  return defined({
    type: 'document',
    source: documentSource(part.source),
    title: part.title,
    cache_control: part.cache,
  });
}

function documentSource(source: Extract<Part, { kind: 'document' }>['source']): JsonObject {
  return source.kind === 'text'
    ? { type: 'text', media_type: 'text/plain', data: source.text }
    : encodeSource(source);
}

export function encodeToolUse(part: Extract<Part, { kind: 'tool-call' }>): JsonObject {
  return defined({
    type: 'tool_use',
    id: toolUseId(part.id),
    name: part.name,
    input: inputOf(part.arguments),
    cache_control: part.cache,
  });
}

/**
 * The arguments as the object that this format wants. Text that is no object (a model's slip, or an answer cut by its
 * cap) is wrapped: a tool then refuses it, where an empty object could do harm.
 */
export function inputOf(text: string): JsonObject {
  if (text.trim() === '') return {};
  return jsonObjectOf(text) ?? { [invalidJsonKey]: text };
}

/** Ids here are letters, digits, `_` and `-`. Others (`functions.get:0`) are spelled by code, the same in call and result. */
export function toolUseId(id: string): string {
  if (id === '') return 'toolu_empty';
  return id.replaceAll(/[^A-Za-z0-9_-]/g, (char) => `_${(char.codePointAt(0) ?? 0).toString(16)}_`);
}

function encodeToolResult(part: Extract<Part, { kind: 'tool-result' }>, path: string): JsonObject {
  const [only] = part.content;
  const isPlain = part.content.length === 1 && only?.kind === 'text' && only.cache === undefined;
  const content = isPlain ? only.text : encodeBlocks(part.content, `${path}.content`);
  return defined({
    type: 'tool_result',
    tool_use_id: toolUseId(part.callId),
    content: content.length === 0 ? undefined : content,
    is_error: part.isError ? true : undefined,
    cache_control: part.cache,
  });
}

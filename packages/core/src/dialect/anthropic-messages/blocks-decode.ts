import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import type { Fields } from '../fields.ts';
import type { CacheMarker, ImageSource, Part } from '../model.ts';

/** Content blocks of Anthropic's format → parts. What the canonical form has no word for is kept as it is. */

const dialect = 'anthropic-messages';

/** The blocks of a member: a string is one text block. */
export function decodeBlocks(fields: Fields, name = 'content'): readonly Part[] {
  const value = fields.raw(name);
  if (value === undefined) return [];
  if (typeof value === 'string') return value === '' ? [] : [{ kind: 'text', text: value }];
  if (!Array.isArray(value)) return fields.wrong(name, 'a string or an array of blocks');
  return fields.objects(name).map(decodeBlock);
}

export function decodeBlock(block: Fields): Part {
  const cache = cacheOf(block);
  switch (block.text('type')) {
    case 'text':
      return { kind: 'text', text: block.text('text'), ...cache };
    case 'image': {
      const source = sourceOf(block.object('source'));
      return source === undefined ? foreign(block.value) : { kind: 'image', source, ...cache };
    }
    case 'document':
      return decodeDocument(block, cache);
    case 'thinking':
      return decodeThinking(block);
    case 'redacted_thinking':
      return { kind: 'redacted-thinking', data: block.text('data') };
    case 'tool_use':
      return {
        kind: 'tool-call',
        id: block.text('id'),
        name: block.text('name'),
        arguments: argumentsOfInput(block.raw('input')),
        ...cache,
      };
    case 'tool_result':
      return {
        kind: 'tool-result',
        callId: block.text('tool_use_id'),
        content: decodeBlocks(block),
        isError: block.optionalFlag('is_error') ?? false,
        ...cache,
      };
    default:
      return foreign(block.value);
  }
}

function foreign(value: JsonObject): Part {
  return { kind: 'foreign', dialect, value };
}

export function cacheOf(block: Fields): { readonly cache?: CacheMarker } {
  const marker = block.optionalObject('cache_control');
  return marker === undefined ? {} : { cache: marker.value };
}

/** An empty signature is how a block without one is written here. */
function decodeThinking(block: Fields): Part {
  const signature = block.optionalText('signature');
  return {
    kind: 'thinking',
    text: block.text('thinking'),
    ...(signature === undefined || signature === '' ? {} : { signature }),
  };
}

/** Key of the wrapper around arguments that are no JSON object, as Anthropic's documentation names it. */
export const invalidJsonKey = 'INVALID_JSON';

/** The arguments as JSON text. A wrapper of ours is taken off again, so that broken text survives the way back. */
export function argumentsOfInput(input: JsonValue | undefined): string {
  if (isJsonObject(input)) {
    const wrapped = input[invalidJsonKey];
    if (typeof wrapped === 'string' && Object.keys(input).length === 1) return wrapped;
  }
  return input === undefined ? '{}' : JSON.stringify(input);
}

/** A source that others can read too; a file id or nested content is Anthropic's own. */
function sourceOf(source: Fields): ImageSource | undefined {
  switch (source.text('type')) {
    case 'base64':
      return {
        kind: 'base64',
        mediaType: source.text('media_type'),
        data: source.text('data'),
      };
    case 'url':
      return { kind: 'url', url: source.text('url') };
    default:
      return undefined;
  }
}

function decodeDocument(block: Fields, cache: { readonly cache?: CacheMarker }): Part {
  const source = block.object('source');
  const wantsCitations = block.optionalObject('citations')?.optionalFlag('enabled') ?? false;
  // What the block asks for beyond the document itself would be lost elsewhere without a word.
  if (wantsCitations || block.has('context')) return foreign(block.value);
  const isText = source.text('type') === 'text';
  const decoded = isText ? { kind: 'text' as const, text: source.text('data') } : sourceOf(source);
  if (decoded === undefined) return foreign(block.value);
  const title = block.optionalText('title');
  return {
    kind: 'document',
    source: decoded,
    ...(title === undefined ? {} : { title }),
    ...cache,
  };
}

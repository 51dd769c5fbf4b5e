import type { JsonObject } from '../../base/index.ts';
import { fromBase64, utf8Text } from '../../base/index.ts';
import { argumentsOfInput } from '../anthropic-messages/blocks-decode.ts';
import type { Fields } from '../fields.ts';
import { wrongKind } from '../fields.ts';
import type { CacheMarker, Part } from '../model.ts';
import { markerOf } from './cache.ts';
import { documentType, imageType } from './media.ts';

/** Content blocks of Converse → parts. A block is an object of one member, whose name is its kind. */

const dialect = 'bedrock-converse';

/** The blocks of a list. A cache point becomes the marker of the block before it. */
export function decodeBlocks(fields: Fields, name: string): readonly Part[] {
  const parts: Part[] = [];
  for (const block of fields.objects(name)) {
    const point = block.optionalObject('cachePoint');
    const marker = point === undefined ? undefined : markerOf(point);
    const last = parts.at(-1);
    const marked = last === undefined || marker === undefined ? undefined : withCache(last, marker);
    if (marked === undefined) parts.push(decodeBlock(block));
    else parts[parts.length - 1] = marked;
  }
  return parts;
}

function withCache(part: Part, cache: CacheMarker): Part | undefined {
  switch (part.kind) {
    case 'text':
    case 'image':
    case 'document':
    case 'tool-call':
    case 'tool-result':
      return part.cache === undefined ? { ...part, cache } : undefined;
    case 'audio':
    case 'thinking':
    case 'redacted-thinking':
    case 'refusal':
    case 'foreign':
      return undefined;
  }
}

function decodeBlock(block: Fields): Part {
  const [kind, second] = Object.keys(block.value).filter((name) => block.has(name));
  // With two kinds in one block, two readers would see different ones.
  if (kind === undefined || second !== undefined) {
    return wrongKind(block.path, 'an object of one member, which names the kind of block');
  }
  switch (kind) {
    case 'text':
      return { kind: 'text', text: block.text('text') };
    case 'image':
      return decodeImage(block.object('image'), block.value);
    case 'document':
      return decodeDocument(block.object('document'), block.value);
    case 'audio':
      return decodeAudio(block.object('audio'), block.value);
    case 'toolUse':
      return decodeToolUse(block.object('toolUse'), block.value);
    case 'toolResult':
      return decodeToolResult(block.object('toolResult'), block.value);
    case 'reasoningContent':
      return decodeReasoning(block.object('reasoningContent'), block.value);
    default:
      return foreign(block.value);
  }
}

function foreign(value: JsonObject): Part {
  return { kind: 'foreign', dialect, value };
}

function decodeImage(image: Fields, whole: JsonObject): Part {
  const mediaType = imageType(image.text('format'));
  const data = image.object('source').optionalText('bytes');
  // A place in Amazon's storage can be read there alone.
  if (mediaType === undefined || data === undefined) return foreign(whole);
  return { kind: 'image', source: { kind: 'base64', mediaType, data } };
}

function decodeDocument(document: Fields, whole: JsonObject): Part {
  const title = document.text('name');
  const format = document.optionalText('format') ?? 'txt';
  const mediaType = documentType(format);
  const wantsCitations = document.optionalObject('citations')?.optionalFlag('enabled') ?? false;
  // What the block asks for beyond the document itself would be lost elsewhere without a word.
  if (mediaType === undefined || wantsCitations || document.has('context')) return foreign(whole);
  const source = document.object('source');
  const data = source.optionalText('bytes');
  const text = source.optionalText('text') ?? plainText(format, data);
  if (text !== undefined) return { kind: 'document', source: { kind: 'text', text }, title };
  if (data === undefined) return foreign(whole);
  return { kind: 'document', source: { kind: 'base64', mediaType, data }, title };
}

function plainText(format: string, data: string | undefined): string | undefined {
  const bytes = format === 'txt' && data !== undefined ? fromBase64(data) : undefined;
  return bytes === undefined ? undefined : utf8Text(bytes);
}

function decodeAudio(audio: Fields, whole: JsonObject): Part {
  const data = audio.object('source').optionalText('bytes');
  if (data === undefined) return foreign(whole);
  return { kind: 'audio', format: audio.text('format'), data };
}

function decodeToolUse(use: Fields, whole: JsonObject): Part {
  // A tool that the server ran itself.
  if (use.has('type')) return foreign(whole);
  return {
    kind: 'tool-call',
    id: use.text('toolUseId'),
    name: use.text('name'),
    arguments: argumentsOfInput(use.raw('input')),
  };
}

function decodeToolResult(result: Fields, whole: JsonObject): Part {
  if (result.has('type')) return foreign(whole);
  const content = result.objects('content').map((block): Part => {
    const value = block.raw('json');
    return value === undefined ? decodeBlock(block) : { kind: 'text', text: JSON.stringify(value) };
  });
  return {
    kind: 'tool-result',
    callId: result.text('toolUseId'),
    content,
    isError: result.optionalText('status') === 'error',
  };
}

function decodeReasoning(reasoning: Fields, whole: JsonObject): Part {
  const data = reasoning.optionalText('redactedContent');
  if (data !== undefined) return { kind: 'redacted-thinking', data };
  const said = reasoning.optionalObject('reasoningText');
  if (said === undefined) return foreign(whole);
  const signature = said.optionalText('signature');
  return {
    kind: 'thinking',
    text: said.text('text'),
    ...(signature === undefined || signature === '' ? {} : { signature }),
  };
}

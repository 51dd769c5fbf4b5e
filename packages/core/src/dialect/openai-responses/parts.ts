import type { JsonObject, JsonValue } from '../../base/index.ts';
import type { Fields } from '../fields.ts';
import { defined } from '../fields.ts';
import type { Part } from '../model.ts';
import { sourceOfUrl, urlOfSource } from '../openai-chat/parts.ts';
import { ownOrRefused, textOfDocument } from '../unsayable-part.ts';

/** Content parts of messages and of tool results. */

export const dialect = 'openai-responses';

/** The parts of a member: a string is one text part. Unknown types are kept as they are. */
export function decodeContent(fields: Fields, name = 'content'): readonly Part[] {
  const value = fields.raw(name);
  if (value === undefined) return [];
  if (typeof value === 'string') return value === '' ? [] : [{ kind: 'text', text: value }];
  if (!Array.isArray(value)) return fields.wrong(name, 'a string or an array of parts');
  return fields.objects(name).map(decodePart);
}

function decodePart(part: Fields): Part {
  switch (part.text('type')) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { kind: 'text', text: part.text('text') };
    case 'refusal':
      return { kind: 'refusal', text: part.text('refusal') };
    case 'input_image':
      return decodeImage(part);
    case 'input_file':
      return decodeFile(part);
    case 'input_audio': {
      const audio = part.object('input_audio');
      return { kind: 'audio', format: audio.text('format'), data: audio.text('data') };
    }
    default:
      return foreign(part.value);
  }
}

/** A file id names an upload at one provider; nobody else can read it. */
function foreign(value: JsonObject): Part {
  return { kind: 'foreign', dialect, value };
}

function decodeImage(part: Fields): Part {
  const url = part.optionalText('image_url');
  if (url === undefined) {
    return part.has('file_id') ? foreign(part.value) : part.missing('image_url', 'a URL');
  }
  const detail = part.optionalText('detail');
  return {
    kind: 'image',
    source: sourceOfUrl(url, part.at('image_url')),
    ...(detail === undefined ? {} : { detail }),
  };
}

function decodeFile(part: Fields): Part {
  const name = part.has('file_data') ? 'file_data' : 'file_url';
  const data = part.optionalText(name);
  if (data === undefined) {
    return part.has('file_id') ? foreign(part.value) : part.missing('file_data', 'a data URL');
  }
  const title = part.optionalText('filename');
  return {
    kind: 'document',
    source: sourceOfUrl(data, part.at(name)),
    ...(title === undefined ? {} : { title }),
  };
}

/** What a person or a tool says. One text is written as a string, which every server understands. */
export function encodeContent(parts: readonly Part[], path: string): JsonValue {
  const [only] = parts;
  if (parts.length === 1 && only?.kind === 'text') return only.text;
  return parts.map((part, index) => encodePart(part, `${path}.${index}`));
}

function encodePart(part: Part, path: string): JsonObject {
  switch (part.kind) {
    case 'text':
    case 'refusal':
      return { type: 'input_text', text: part.text };
    case 'image':
      return defined({
        type: 'input_image',
        image_url: urlOfSource(part.source),
        detail: part.detail,
      });
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } };
    case 'document':
      return encodeDocument(part);
    case 'foreign':
    case 'thinking':
    case 'redacted-thinking':
    case 'tool-call':
    case 'tool-result':
      return ownOrRefused(part, path, dialect);
  }
}

function encodeDocument({ source, title }: Extract<Part, { kind: 'document' }>): JsonObject {
  if (source.kind === 'text') {
    return { type: 'input_text', text: textOfDocument(source.text, title) };
  }
  return source.kind === 'url'
    ? defined({ type: 'input_file', file_url: source.url, filename: title })
    : { type: 'input_file', file_data: urlOfSource(source), filename: title ?? 'document' };
}

/** A part of what the model says. */
export function outputPart(kind: 'text' | 'refusal', text: string): JsonObject {
  return kind === 'refusal'
    ? { type: 'refusal', refusal: text }
    : { type: 'output_text', text, annotations: [], logprobs: [] };
}

import type { JsonObject, JsonValue } from '../../base/index.ts';
import { raise, raiseUnsupported } from '../attempt.ts';
import { Fields, defined } from '../fields.ts';
import type { ImageSource, Part } from '../model.ts';
import { ownOrRefused, textOfDocument } from '../unsayable-part.ts';

/** Content parts of OpenAI's chat format. */

const dialect = 'openai-chat';

/** The parts of a message: a string is one text part. Unknown types are kept as they are. */
export function decodeContent(message: Fields, name = 'content'): readonly Part[] {
  const value = message.raw(name);
  if (value === undefined) return [];
  if (typeof value === 'string') return value === '' ? [] : [{ kind: 'text', text: value }];
  if (!Array.isArray(value)) return message.wrong(name, 'a string or an array of parts');
  return message.objects(name).map(decodePart);
}

function decodePart(part: Fields): Part {
  const type = part.text('type');
  switch (type) {
    case 'text':
      return { kind: 'text', text: part.text('text') };
    case 'refusal':
      return { kind: 'refusal', text: part.text('refusal') };
    case 'image_url':
      return decodeImage(part);
    case 'input_audio': {
      const audio = part.object('input_audio');
      return { kind: 'audio', format: audio.text('format'), data: audio.text('data') };
    }
    case 'file':
      return decodeFile(part);
    default:
      return { kind: 'foreign', dialect, value: part.value };
  }
}

function decodeImage(part: Fields): Part {
  const image =
    typeof part.raw('image_url') === 'string'
      ? new Fields({ url: part.text('image_url') }, part.at('image_url'))
      : part.object('image_url');
  const detail = image.optionalText('detail');
  const source = sourceOfUrl(image.text('url'), image.at('url'));
  return { kind: 'image', source, ...(detail === undefined ? {} : { detail }) };
}

function decodeFile(part: Fields): Part {
  const file = part.object('file');
  const data = file.optionalText('file_data');
  // A file id names an upload at one provider; nobody else can read it.
  if (data === undefined) return { kind: 'foreign', dialect, value: part.value };
  const title = file.optionalText('filename');
  return {
    kind: 'document',
    source: sourceOfUrl(data, file.at('file_data')),
    ...(title === undefined ? {} : { title }),
  };
}

/** A `data:` URL with base64, or an http(s) URL. Only the head is searched: images are megabytes long. */
export function sourceOfUrl(url: string, path: string): ImageSource {
  if (/^https?:\/\//i.test(url)) return { kind: 'url', url };
  const head = /^data:([^;,]{1,100})(?:;[^;,]{1,100}){0,4}?;base64,/i.exec(url.slice(0, 700));
  const mediaType = head?.[1];
  if (head === null || mediaType === undefined) {
    return raise('invalid_request', `${path} has to be an http(s) URL or a data URL with base64.`, {
      param: path,
    });
  }
  return { kind: 'base64', mediaType: mediaType.toLowerCase(), data: url.slice(head[0].length) };
}

export function urlOfSource(source: ImageSource): string {
  return source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`;
}

/** The parts of a user message. One text part is written as a string, which every server understands. */
export function encodeContent(parts: readonly Part[], path: string): JsonValue {
  const [only] = parts;
  if (parts.length === 1 && only?.kind === 'text') return only.text;
  return parts.map((part, index) => encodePart(part, `${path}.${index}`));
}

function encodePart(part: Part, path: string): JsonObject {
  switch (part.kind) {
    case 'text':
      return { type: 'text', text: part.text };
    case 'refusal':
      return { type: 'refusal', refusal: part.text };
    case 'image':
      return {
        type: 'image_url',
        image_url: defined({ url: urlOfSource(part.source), detail: part.detail }),
      };
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.data, format: part.format } };
    case 'document':
      return encodeDocument(part, path);
    case 'foreign':
    case 'thinking':
    case 'redacted-thinking':
    case 'tool-call':
    case 'tool-result':
      return ownOrRefused(part, path, dialect);
  }
}

function encodeDocument(part: Extract<Part, { kind: 'document' }>, path: string): JsonObject {
  const { source, title } = part;
  if (source.kind === 'text') {
    return { type: 'text', text: textOfDocument(source.text, title) };
  }
  if (source.kind === 'url') {
    return raiseUnsupported(path, 'the model that would answer takes no documents by URL.');
  }
  return {
    type: 'file',
    file: defined({ filename: title ?? 'document', file_data: urlOfSource(source) }),
  };
}

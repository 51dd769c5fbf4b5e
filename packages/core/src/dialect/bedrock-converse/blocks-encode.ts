import type { JsonObject } from '../../base/index.ts';
import { toBase64, utf8 } from '../../base/index.ts';
import { inputOf } from '../anthropic-messages/blocks-encode.ts';
import { raiseUnsupported } from '../attempt.ts';
import { defined } from '../fields.ts';
import type { CacheMarker, Part } from '../model.ts';
import { isSealedByOpenAi } from '../openai-responses/reasoning.ts';
import { cachePointOf } from './cache.ts';
import { audioFormats, documentFormat, imageFormat } from './media.ts';
import { DocumentNames, idOf } from './names.ts';
import type { ModelTraits } from './traits.ts';

/** Parts → content blocks of Converse. One writer to a request: names of documents must differ in it. */
export class BlockWriter {
  readonly #traits: ModelTraits;
  readonly #isOwn: boolean;
  readonly #documents = new DocumentNames();

  constructor(traits: ModelTraits, isOwn: boolean) {
    this.#traits = traits;
    this.#isOwn = isOwn;
  }

  /** The blocks of a part: none where it cannot be sent and nothing is lost by it, two where a cache point follows. */
  write(part: Part, path: string): readonly JsonObject[] {
    const block = this.#block(part, path);
    if (block === undefined) return [];
    const marker = markerIn(part);
    return marker === undefined || !this.#traits.hasCache
      ? [block]
      : [block, cachePointOf(marker, this.#traits.hasToolCache)];
  }

  #block(part: Part, path: string): JsonObject | undefined {
    switch (part.kind) {
      case 'text':
      case 'refusal':
        // The provider refuses blank text blocks.
        return part.text.trim() === '' ? undefined : { text: part.text };
      case 'image':
        return encodeImage(part, path);
      case 'document':
        return this.#document(part, path);
      case 'audio':
        return encodeAudio(part, path);
      case 'thinking':
      case 'redacted-thinking':
        return this.#reasoning(part);
      case 'tool-call':
        return encodeToolUse(part);
      case 'tool-result':
        return this.#toolResult(part, path);
      case 'foreign':
        if (part.dialect === 'bedrock-converse') return part.value;
        return raiseUnsupported(
          path,
          'the model that would answer does not know this kind of block.',
        );
    }
  }

  /** Only its signer accepts reasoning, and only with the signature. */
  #reasoning(
    part: Extract<Part, { kind: 'thinking' | 'redacted-thinking' }>,
  ): JsonObject | undefined {
    if (isSealedByOpenAi(part)) return undefined;
    const isUnsigned = part.kind === 'thinking' && part.signature === undefined;
    if (!this.#isOwn && (isUnsigned || !this.#traits.hasReasoning)) return undefined;
    return encodeReasoning(part);
  }

  #document(part: Extract<Part, { kind: 'document' }>, path: string): JsonObject {
    const { source, title } = part;
    if (source.kind === 'url') return refuseUrl(path);
    const format = source.kind === 'text' ? 'txt' : documentFormat(source.mediaType);
    if (format === undefined) {
      return raiseUnsupported(path, 'the model that would answer does not take this kind of file.');
    }
    const bytes = source.kind === 'text' ? toBase64(utf8(source.text)) : source.data;
    return { document: { format, name: this.#documents.name(title), source: { bytes } } };
  }

  #toolResult(part: Extract<Part, { kind: 'tool-result' }>, path: string): JsonObject {
    const content = part.content.flatMap((inner, index): readonly JsonObject[] => {
      // Blank text is allowed here, and says that the tool had nothing to say.
      if (inner.kind === 'text') return [{ text: inner.text }];
      const block = this.#block(inner, `${path}.content.${index}`);
      return block === undefined ? [] : [block];
    });
    return {
      toolResult: defined({
        toolUseId: idOf(part.callId),
        content,
        status: part.isError ? 'error' : undefined,
      }),
    };
  }
}

/** A tool's result has no room for markers inside; what was to be cached up to there is cached up to its end. */
function markerIn(part: Part): CacheMarker | undefined {
  if (part.kind === 'tool-result') {
    return part.cache ?? part.content.map(markerIn).find((marker) => marker !== undefined);
  }
  return 'cache' in part ? part.cache : undefined;
}

function encodeImage(part: Extract<Part, { kind: 'image' }>, path: string): JsonObject {
  const { source } = part;
  if (source.kind === 'url') return refuseUrl(path);
  const format = imageFormat(source.mediaType);
  if (format === undefined) {
    return raiseUnsupported(path, 'the model that would answer does not take this kind of image.');
  }
  return { image: { format, source: { bytes: source.data } } };
}

function refuseUrl(path: string): never {
  return raiseUnsupported(
    path,
    'the model that would answer takes files as data, not by address; send the bytes.',
  );
}

function encodeAudio(part: Extract<Part, { kind: 'audio' }>, path: string): JsonObject {
  if (!audioFormats.has(part.format)) {
    raiseUnsupported(path, 'the model that would answer does not take this kind of audio.');
  }
  return { audio: { format: part.format, source: { bytes: part.data } } };
}

export function encodeReasoning(
  part: Extract<Part, { kind: 'thinking' | 'redacted-thinking' }>,
): JsonObject {
  return part.kind === 'redacted-thinking'
    ? { reasoningContent: { redactedContent: part.data } }
    : {
        reasoningContent: {
          reasoningText: defined({ text: part.text, signature: part.signature }),
        },
      };
}

export function encodeToolUse(part: Extract<Part, { kind: 'tool-call' }>): JsonObject {
  return {
    toolUse: { toolUseId: idOf(part.id), name: idOf(part.name), input: inputOf(part.arguments) },
  };
}

import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { editMembers, emptyObject, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { encodeSampling } from '../anthropic-messages/request-encode.ts';
import { attempt, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, RequestPatch } from '../dialect.ts';
import { choicesFor, extensionsFor } from '../extensions.ts';
import { defined } from '../fields.ts';
import type { Conversation, Message, Part } from '../model.ts';
import { additionalPrefix, encodeAdditional } from './additional.ts';
import { BlockWriter } from './blocks-encode.ts';
import { encodeOutputConfig } from './output-config.ts';
import { encodeToolConfig } from './tools.ts';
import { traitsOf } from './traits.ts';

const dialect = 'bedrock-converse';

/** Conversation → Converse request. The model and whether to stream go into the path. */
export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  return attempt(() => {
    const isOwn = conversation.extensions.dialect === dialect;
    const traits = traitsOf(target.model, isOwn);
    const { own, additional } = parted(extensionsFor(conversation, dialect));
    const { top_k: topK, ...sampling } = encodeSampling(conversation);
    choicesFor(conversation, dialect);
    const inference = defined({
      maxTokens: conversation.maxOutputTokens ?? target.maxOutputTokens,
      temperature: sampling['temperature'],
      topP: sampling['top_p'],
      stopSequences: sampling['stop_sequences'],
    });
    const { system, turns } = placed(conversation, isOwn);
    const writer = new BlockWriter(traits, isOwn);
    return {
      ...defined({
        system: encodeSystem(system, writer),
        messages: encodeTurns(turns, writer, isOwn),
        inferenceConfig: Object.keys(inference).length === 0 ? undefined : inference,
        toolConfig: encodeToolConfig(conversation, traits),
        outputConfig: encodeOutputConfig(conversation),
        additionalModelRequestFields: encodeAdditional(conversation, traits, topK, additional),
        // Only so does the answer say which of them ended it.
        additionalModelResponseFieldPaths:
          !isOwn && traits.hasAnthropicFields && conversation.stop !== undefined
            ? ['/stop_sequence']
            : undefined,
      }),
      ...own,
    };
  });
}

/** Extensions of the request itself, and those of its `additionalModelRequestFields`. */
function parted(extensions: JsonObject): {
  readonly own: JsonObject;
  readonly additional: JsonObject;
} {
  const own: Record<string, JsonValue> = emptyObject();
  const additional: Record<string, JsonValue> = emptyObject();
  for (const [name, value] of Object.entries(extensions)) {
    if (name.startsWith(additionalPrefix)) additional[name.slice(additionalPrefix.length)] = value;
    else own[name] = value;
  }
  return { own, additional };
}

interface PlacedPart {
  readonly part: Part;
  readonly path: string;
}

interface Turn {
  readonly role: Message['role'];
  readonly parts: PlacedPart[];
}

/**
 * Turns alternate here, and the results of all the calls of one turn have to stand in the one message that follows it:
 * messages of one role that follow each other become one. Few models take instructions between the turns, so that
 * those join the system prompt, in their order.
 */
function placed(
  conversation: Conversation,
  isOwn: boolean,
): { readonly system: readonly PlacedPart[]; readonly turns: readonly Turn[] } {
  const system: PlacedPart[] = conversation.system.map((part, index) => ({
    part,
    path: `system.${index}`,
  }));
  const turns: Turn[] = [];
  for (const [index, message] of conversation.messages.entries()) {
    const parts = message.content.map((part, at) => ({
      part,
      path: `messages.${index}.content.${at}`,
    }));
    const last = turns.at(-1);
    if (message.role === 'system' && !isOwn) for (const part of parts) system.push(part);
    else if (last?.role === message.role) for (const part of parts) last.parts.push(part);
    else turns.push({ role: message.role, parts });
  }
  return { system, turns };
}

function encodeSystem(
  system: readonly PlacedPart[],
  writer: BlockWriter,
): readonly JsonObject[] | undefined {
  const blocks = system.flatMap(({ part, path }) => {
    if (part.kind !== 'text' && part.kind !== 'foreign') {
      raiseUnsupported(path, 'only text can stand here for the model that would answer.');
    }
    return writer.write(part, path);
  });
  return blocks.length === 0 ? undefined : blocks;
}

function encodeTurns(
  turns: readonly Turn[],
  writer: BlockWriter,
  isOwn: boolean,
): readonly JsonObject[] {
  const messages: { readonly role: Message['role']; readonly content: JsonObject[] }[] = [];
  for (const { role, parts } of turns) {
    const content = resultsFirst(parts).flatMap(({ part, path }) => writer.write(part, path));
    if (content.length === 0) continue;
    const last = messages.at(-1);
    // Two turns of one role meet where what stood between them says nothing.
    if (last?.role === role) for (const block of content) last.content.push(block);
    else messages.push({ role, content });
  }
  if (messages.length === 0) {
    raiseUnsupported('messages', 'the model that would answer needs a message that is not empty.');
  }
  return messages.map(({ role, content }) => {
    // The provider takes no document without a word about it.
    const isBare = !isOwn && !has(content, 'text') && has(content, 'document');
    return { role, content: isBare ? [...content, { text: 'See the document.' }] : content };
  });
}

function has(content: readonly JsonObject[], kind: string): boolean {
  return content.some((block) => Object.hasOwn(block, kind));
}

function resultsFirst(parts: readonly PlacedPart[]): readonly PlacedPart[] {
  const results = parts.filter(({ part }) => part.kind === 'tool-result');
  if (results.length === 0) return parts;
  return [...results, ...parts.filter(({ part }) => part.kind !== 'tool-result')];
}

/** The caller's own text with the cap where it has none. The model goes into the path. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  const cap = patch.maxOutputTokens;
  if (cap === undefined) return ok(text);
  const document = objectText(text);
  const config = document.members().findLast((member) => member.name === 'inferenceConfig');
  const inner = config === undefined ? '{}' : text.slice(config.valueStart, config.valueEnd);
  const isCapped =
    inner.startsWith('{') &&
    objectText(inner)
      .members()
      .some(
        (member) =>
          member.name === 'maxTokens' && inner.slice(member.valueStart, member.valueEnd) !== 'null',
      );
  if (isCapped) return ok(text);
  return ok(editMembers(document, { within: { inferenceConfig: { set: { maxTokens: cap } } } }));
}

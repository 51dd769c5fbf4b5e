import type { JsonObject, JsonValue } from '../base/index.ts';
import type { Conversation, Part, ToolDefinition } from './model.ts';

/**
 * An estimate of a prompt's tokens without the model's tokenizer, for reservations and for upstreams that cannot count.
 * It leans to the high side: a reservation that is too small lets a budget be overrun.
 */

/** Characters of Latin text to a token: prose has about 4, code and JSON about 3. */
const latinCharsPerToken = 3.3;
/** What a role, its separators and the like cost in each message. */
export const messageTokens = 5;
/** What a provider adds to a prompt that has tools. */
const toolsTokens = 350;
/** The most that an image costs at the large providers once they scaled it down. */
const imageTokens = 1600;
/** A page of a PDF counts as text and as an image; a page has about 30 kB. */
const documentTokensPerPage = 3000;
const documentBytesPerPage = 30_000;
/** Half a minute of speech at ten tokens a second; audio has no measure of its own here. */
const audioCharsPerToken = 1000;

export const wideCharacter: RegExp = /[^\0-\u024f]/;

/**
 * Characters of an answer for one token, where nobody reported how many it has: cautious for English, about right for code.
 */
export const answerCharsPerToken = 3;

/** Characters of an answer as they weigh in tokens: one outside Latin is about a token by itself. */
export function answerChars(text: string): number {
  return wideCharacter.test(text)
    ? text.length + wideIn(text) * (answerCharsPerToken - 1)
    : text.length;
}

/** The same of a member of an answer, which may be anything. */
export function charsOf(value: JsonValue | undefined): number {
  return typeof value === 'string' ? answerChars(value) : 0;
}

function wideIn(text: string): number {
  let wide = 0;
  for (let at = 0; at < text.length; at += 1) if (text.charCodeAt(at) > 0x24f) wide += 1;
  return wide;
}

/** Tokens of so many Latin characters. */
export function latinTokens(chars: number): number {
  return Math.ceil(chars / latinCharsPerToken);
}

/** Tokens of a piece of text: characters outside Latin cost about one each. */
export function estimateTextTokens(text: string): number {
  // Most texts are of one byte a character, which this sees without looking at any of them.
  if (!wideCharacter.test(text)) return latinTokens(text.length);
  const wide = wideIn(text);
  return Math.ceil((text.length - wide) / latinCharsPerToken + wide);
}

/** Tokens that a conversation's prompt will cost, leaning high. */
export function estimateInputTokens(conversation: Conversation): number {
  const { estimated } = conversation;
  if (estimated !== undefined) return estimated;
  let tokens = partsTokens(conversation.system) + messageTokens;
  for (const message of conversation.messages) {
    tokens += messageTokens + partsTokens(message.content);
  }
  if (conversation.tools.length > 0) tokens += toolsTokens;
  for (const tool of conversation.tools) tokens += toolTokens(tool);
  if (conversation.format?.kind === 'schema') tokens += jsonTokens(conversation.format.schema);
  return tokens;
}

function toolTokens(tool: ToolDefinition): number {
  const shape = tool.foreign === undefined ? tool.schema : tool.foreign.value;
  return (
    messageTokens +
    estimateTextTokens(tool.name) +
    estimateTextTokens(tool.description ?? '') +
    jsonTokens(shape)
  );
}

function jsonTokens(value: JsonValue): number {
  return estimateTextTokens(JSON.stringify(value));
}

function partsTokens(parts: readonly Part[]): number {
  let tokens = 0;
  for (const part of parts) tokens += partTokens(part);
  return tokens;
}

function partTokens(part: Part): number {
  switch (part.kind) {
    case 'text':
    case 'refusal':
    case 'thinking':
      return estimateTextTokens(part.text);
    case 'redacted-thinking':
      return estimateTextTokens(part.data);
    case 'image':
      return imageTokens;
    case 'document':
      return documentTokens(part);
    case 'audio':
      return Math.ceil(part.data.length / audioCharsPerToken);
    case 'tool-call':
      return messageTokens + estimateTextTokens(part.name) + estimateTextTokens(part.arguments);
    case 'tool-result':
      return messageTokens + partsTokens(part.content);
    case 'foreign':
      return Math.max(jsonTokens(part.value), tokenIdsIn(part.value));
  }
}

/** Prompts of OpenAI's older formats may be tokens already: numbers, or lists of them. */
function tokenIdsIn({ prompt, input }: JsonObject): number {
  const given = prompt ?? input;
  if (!Array.isArray(given)) return 0;
  let count = 0;
  for (const each of given) count += Array.isArray(each) ? each.length : 1;
  return count;
}

function documentTokens(part: Extract<Part, { kind: 'document' }>): number {
  if (part.source.kind === 'text') return estimateTextTokens(part.source.text);
  if (part.source.kind === 'url') return documentTokensPerPage;
  const bytes = (part.source.data.length * 3) / 4;
  return Math.ceil(bytes / documentBytesPerPage) * documentTokensPerPage;
}

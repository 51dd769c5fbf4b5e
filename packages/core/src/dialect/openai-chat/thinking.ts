import type { JsonObject } from '../../base/index.ts';
import type { Fields } from '../fields.ts';
import { defined } from '../fields.ts';
import type { Part } from '../model.ts';

/**
 * Reasoning in OpenAI's chat format, which has no word for it: `reasoning_content` is the text, as most servers say it;
 * `thinking_blocks` is an opaque list that a client sends back unchanged and that holds the signatures. `index` tells
 * where in the answer a block stood, where that is not the front.
 */

type ThinkingPart = Extract<Part, { kind: 'thinking' | 'redacted-thinking' }>;

export function isThinking(part: Part): part is ThinkingPart {
  return part.kind === 'thinking' || part.kind === 'redacted-thinking';
}

/** Needs the opaque form: something of it would be lost in the text. */
function isSigned(part: ThinkingPart): boolean {
  return part.kind === 'redacted-thinking' || part.signature !== undefined;
}

export function encodeThinkingBlock(part: ThinkingPart, index?: number): JsonObject {
  return part.kind === 'redacted-thinking'
    ? defined({ type: 'redacted_thinking', data: part.data, index })
    : defined({ type: 'thinking', thinking: part.text, signature: part.signature, index });
}

/** The members of an assistant message that carry the reasoning of its content. */
export function encodeThinking(content: readonly Part[]): JsonObject {
  const blocks: JsonObject[] = [];
  let text = '';
  let isOpaqueNeeded = false;
  for (const [index, part] of content.entries()) {
    if (!isThinking(part)) continue;
    if (part.kind === 'thinking') text += part.text;
    isOpaqueNeeded ||= isSigned(part);
    // The front is where a reader puts a block without an index.
    blocks.push(encodeThinkingBlock(part, index === blocks.length ? undefined : index));
  }
  return defined({
    reasoning_content: text === '' ? undefined : text,
    thinking_blocks: isOpaqueNeeded ? blocks : undefined,
  });
}

/** Puts the reasoning of an assistant message back into its content, each block where it stood. */
export function withThinking(message: Fields, content: readonly Part[]): readonly Part[] {
  const blocks = message.optionalObjects('thinking_blocks');
  if (blocks === undefined || blocks.length === 0) {
    const text = message.optionalText('reasoning_content') ?? plainReasoning(message);
    return text === undefined || text === '' ? content : [{ kind: 'thinking', text }, ...content];
  }
  const whole = [...content];
  for (const [order, block] of blocks.entries()) {
    const part = decodeThinkingBlock(block);
    if (part === undefined) continue;
    const index = block.optionalInteger('index') ?? order;
    whole.splice(Math.min(index, whole.length), 0, part);
  }
  return whole;
}

/** `reasoning` is the newer spelling of some servers; others use the name for an object, which says nothing here. */
export function plainReasoning(message: Fields): string | undefined {
  const value = message.raw('reasoning');
  return typeof value === 'string' ? value : undefined;
}

export function decodeThinkingBlock(block: Fields): ThinkingPart | undefined {
  const type = block.optionalText('type');
  if (type === 'redacted_thinking') return { kind: 'redacted-thinking', data: block.text('data') };
  if (type !== 'thinking') return undefined;
  const signature = block.optionalText('signature');
  return {
    kind: 'thinking',
    text: block.optionalText('thinking') ?? '',
    ...(signature === undefined || signature === '' ? {} : { signature }),
  };
}

import type { Conversation, Usage } from '@postern/core/dialect';

/**
 * Thinking is output, and most providers show a summary of it or nothing: a stream may have used all of its cap before its
 * first word, with nothing on the way that tells. So for a model that may think, all of it is set aside at once, as for an
 * answer in one piece.
 */

/** How a model is known to think where nobody asked it to: by its name, or by an answer that it gave. */
export type Thinks = 'named' | 'seen' | undefined;

/**
 * OpenAI's from o1 and GPT-5, Gemini from 2.5, Grok from 4, and whoever says it in the name. Providers put owners, regions
 * and vendors before it.
 */
const thinkers =
  /(?:^|[/.:-])(?:o[1-9]|gpt-(?:[5-9]|[1-9]\d|oss)|codex|gemini-(?:2\.5|[3-9]|[1-9]\d)|grok-(?:[4-9]|code)|deepseek-r\d|r1|qwq|magistral)(?:$|[^a-z0-9])|think|reason/i;

export function thinksByName(model: string): boolean {
  return thinkers.test(model);
}

/** May an answer hold more output than its stream shows? */
export function mayHideThinking({ reasoning }: Conversation, thinks: Thinks): boolean {
  if (reasoning === undefined) return thinks !== undefined;
  switch (reasoning.kind) {
    case 'effort':
      return reasoning.effort !== 'none' || thinks === 'seen';
    // Formats without a word for it do not pass it on.
    case 'off':
      return thinks !== undefined;
    case 'adaptive':
    case 'tokens':
      return true;
  }
}

/** Did the model think unasked? */
export function thoughtUnasked(conversation: Conversation, { reasoning }: Usage): boolean {
  return reasoning > 0 && !mayHideThinking(conversation, undefined);
}

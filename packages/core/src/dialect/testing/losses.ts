import type { DialectName } from '../model.ts';

/** What a format has no words for, and what becomes of it. A test walks all pairs and holds this list both ways. */
export interface Loss {
  readonly feature: string;
  readonly formats: readonly DialectName[];
  /** `refused`: 400 that names the field. `otherwise`: told in another way, or left out where nothing depends on it. */
  readonly outcome: 'refused' | 'otherwise';
  /** Within the one format it passes all the same. */
  readonly keptByItself?: true;
  /** Only the caller's format counts: what the server's tells otherwise, the caller's tells right again. */
  readonly atTarget?: true;
  readonly why: string;
}

const openai = ['openai-chat', 'openai-responses'] as const;

export const requestLosses: readonly Loss[] = [
  {
    feature: 'no tool may be called',
    formats: ['bedrock-converse'],
    outcome: 'otherwise',
    why: 'the tools are left out, so that none can be called; refused where the history holds calls',
  },
  {
    feature: 'a tool that failed',
    formats: openai,
    outcome: 'otherwise',
    why: 'results have no such mark; the words of the result say it',
  },
  {
    feature: 'an image in the result of a tool',
    formats: ['openai-chat'],
    outcome: 'otherwise',
    why: 'results are text; the image stands in the message after them',
  },
  {
    feature: 'images by address',
    formats: ['bedrock-converse'],
    outcome: 'refused',
    why: 'models behind it take data alone',
  },
  {
    feature: 'images by address',
    formats: ['bedrock-invoke'],
    outcome: 'refused',
    keptByItself: true,
    why: 'models behind it take data alone',
  },
  {
    feature: 'prompt-cache markers',
    formats: openai,
    outcome: 'otherwise',
    why: 'servers of it cache by themselves',
  },
  {
    feature: 'thinking by tokens',
    formats: openai,
    outcome: 'otherwise',
    why: 'thinking is wished for by an effort; the model’s own default stays',
  },
  {
    feature: 'stop sequences',
    formats: ['openai-responses'],
    outcome: 'refused',
    why: 'the format has none',
  },
  {
    feature: 'flags of betas',
    formats: openai,
    outcome: 'otherwise',
    why: 'they are about Anthropic’s models',
  },
];

export const answerLosses: readonly Loss[] = [
  {
    feature: 'a refusal in words',
    formats: ['anthropic-messages', 'bedrock-converse', 'bedrock-invoke'],
    outcome: 'otherwise',
    why: 'it is text like any other',
  },
  {
    feature: 'tokens written to the cache for an hour',
    formats: openai,
    outcome: 'otherwise',
    why: 'writes are counted together',
  },
  {
    feature: 'tokens of thinking',
    formats: ['bedrock-converse'],
    outcome: 'otherwise',
    why: 'they are counted as output alone',
  },
  {
    feature: 'ended by a stop sequence',
    formats: openai,
    outcome: 'otherwise',
    why: 'such an answer ended like any other',
  },
  {
    feature: 'ended by a content filter',
    formats: ['anthropic-messages', 'bedrock-invoke'],
    outcome: 'otherwise',
    atTarget: true,
    why: 'a refusal is the only such end',
  },
  {
    feature: 'ended by a refusal',
    formats: [...openai, 'bedrock-converse'],
    outcome: 'otherwise',
    atTarget: true,
    why: 'a filter is the only such end',
  },
  {
    feature: 'paused',
    formats: [...openai, 'bedrock-converse'],
    outcome: 'otherwise',
    why: 'it is cut short, as far as the format can say',
  },
];

/** What becomes of a feature between two formats; undefined: it arrives. */
export function lossBetween(
  losses: readonly Loss[],
  feature: string,
  from: DialectName,
  to: DialectName,
): Loss | undefined {
  const at = (format: DialectName, isTarget: boolean): Loss | undefined =>
    losses.find(
      (loss) =>
        loss.feature === feature &&
        loss.formats.includes(format) &&
        (isTarget || loss.atTarget !== true) &&
        (loss.keptByItself !== true || (isTarget && from !== to)),
    );
  return at(from, false) ?? at(to, true);
}

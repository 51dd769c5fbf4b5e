import type { HeaderReader } from '../dialect.ts';
import type { Fields } from '../fields.ts';
import { optional } from '../fields.ts';
import type { Conversation } from '../model.ts';

/** What Messages says in headers and Amazon's servers of the same models in the body: the flags of betas. */

const betaHeader = 'anthropic-beta';

/** Part of the format: they reach an upstream of it as they came. */
export const requestHeaders: readonly string[] = ['anthropic-version', betaHeader];

/** More flags than this are no list of features. */
const betasMax = 64;

export function decodeHeaders(header: HeaderReader | undefined): Pick<Conversation, 'betas'> {
  const betas = flagsOf(header?.(betaHeader) ?? '');
  return optional('betas', betas.length === 0 ? undefined : betas);
}

export function encodeHeaders(conversation: Conversation): Readonly<Record<string, string>> {
  const { betas } = conversation;
  return betas === undefined ? {} : { [betaHeader]: betas.join(',') };
}

/** The flags of a field that Amazon's servers read. */
export function decodeBetas(fields: Fields, name: string): Pick<Conversation, 'betas'> {
  const betas = flagsOf((fields.optionalTexts(name) ?? []).join(','));
  return optional('betas', betas.length === 0 ? undefined : betas);
}

/** The flags that a list in text names: tokens without spaces, each once. A flag may go into a header. */
function flagsOf(text: string): readonly string[] {
  const flags = text.split(',').map((flag) => flag.trim());
  const tokens = flags.filter((flag) => /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(flag));
  return [...new Set(tokens)].slice(0, betasMax);
}

/**
 * Flags that Amazon's servers know. They refuse a request that names any other one, and clients of Messages name theirs
 * in every request; what needs a flag and does not get it, they refuse by itself and by name.
 */
const knownAtAmazon =
  /^(?:compact|computer-use|context-1m|context-management|dev-full-thinking|effort|fine-grained-tool-streaming|interleaved-thinking|output-128k|token-efficient-tools|tool-examples|tool-search-tool)-\d{4}-\d\d-\d\d$/;

/** The flags for a server of Amazon's. */
export function betasForAmazon(conversation: Conversation): readonly string[] | undefined {
  const kept = conversation.betas?.filter((flag) => knownAtAmazon.test(flag)) ?? [];
  return kept.length === 0 ? undefined : kept;
}

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
 * Flags of Anthropic's own products, of services beside Messages, and of what is general by now. Amazon's servers refuse
 * a request that names a flag which they do not know, and nothing of the answer depends on these.
 */
const ownProducts =
  /^(?:claude-code|oauth|files-api|message-batches|prompt-caching|prompt-caching-scope|structured-outputs)-/;

/** The flags for a server of Amazon's. */
export function betasForAmazon(conversation: Conversation): readonly string[] | undefined {
  const kept = conversation.betas?.filter((flag) => !ownProducts.test(flag)) ?? [];
  return kept.length === 0 ? undefined : kept;
}

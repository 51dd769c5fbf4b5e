import type { JsonObject } from '../../base/index.ts';
import { jsonObjectOf } from '../../base/index.ts';
import type { Conversation, DialectName } from '../model.ts';
import { dialectNamed } from '../table.ts';

/** The formats in which a conversation is held, with all that belongs to one. */
export const conversational = [
  'openai-chat',
  'openai-responses',
  'anthropic-messages',
  'bedrock-converse',
  'bedrock-invoke',
] as const satisfies readonly DialectName[];

/** A model's name from which every format knows that all fields are allowed. */
const model = 'anthropic.claude-x';

export type Trip =
  | { readonly kind: 'arrived'; readonly conversation: Conversation }
  /** The caller's format has no words for it, or the server's has none. */
  | { readonly kind: 'refused'; readonly by: 'from' | 'to'; readonly param: string | undefined };

/** What a server that speaks `to` reads of a conversation that a caller wrote in `from`. */
export function trip(conversation: Conversation, from: DialectName, to: DialectName): Trip {
  const written = readBack(conversation, from);
  if ('param' in written) return { kind: 'refused', by: 'from', param: written.param };
  const sent = readBack(written.conversation, to);
  if ('param' in sent) return { kind: 'refused', by: 'to', param: sent.param };
  return { kind: 'arrived', conversation: sent.conversation };
}

function readBack(
  conversation: Conversation,
  name: DialectName,
): { readonly conversation: Conversation } | { readonly param: string | undefined } {
  const dialect = dialectNamed(name);
  const encoded = dialect.encodeRequest(conversation, { model, maxOutputTokens: undefined });
  if (!encoded.ok) return { param: encoded.error.param };
  const headers = dialect.encodeHeaders?.(conversation) ?? {};
  const path = dialect.readPath?.(dialect.upstreamPath(model, conversation.stream));
  const decoded = dialect.decodeRequest(
    overTheWire(encoded.value),
    path,
    (header) => headers[header],
  );
  if (!decoded.ok) throw new Error(`${name} does not read what it wrote: ${decoded.error.message}`);
  return { conversation: decoded.value };
}

/** Reads its own text again, as a peer would. */
export function overTheWire(value: JsonObject): JsonObject {
  return jsonObjectOf(JSON.stringify(value)) ?? {};
}

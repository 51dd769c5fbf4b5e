import type { JsonObject, JsonValue, Result } from '../../base/index.ts';
import { emptyObject, objectText, ok } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { betasForAmazon, decodeBetas } from '../anthropic-messages/headers.ts';
import { decodeRequest as decodeMessages } from '../anthropic-messages/request-decode.ts';
import { encodeMembers, patchMembers } from '../anthropic-messages/request-encode.ts';
import { attempt, raiseUnsupported } from '../attempt.ts';
import type { EncodeTarget, HeaderReader, PathFacts, RequestPatch } from '../dialect.ts';
import { extensionsFor } from '../extensions.ts';
import { Fields, defined, optional } from '../fields.ts';
import type { Conversation, Message, Part } from '../model.ts';
import { conversationOfVendor, isVendorBody, vendorBodyOf } from './vendor-body.ts';

/** Requests of InvokeModel for Anthropic's models: a Messages body with its version in it and its model in the path. */

const dialect = 'bedrock-invoke';
const version = 'bedrock-2023-05-31';

/** What the path says, and what says only which format this is. */
const unread: ReadonlySet<string> = new Set([
  'anthropic_version',
  'anthropic_beta',
  'model',
  'stream',
]);

export function decodeRequest(
  body: JsonObject,
  path?: PathFacts,
  header?: HeaderReader,
): Result<Conversation, Refusal> {
  const haste = optional('isHasty', isHasty(header) ? true : undefined);
  if (isVendorBody(body)) return ok({ ...conversationOfVendor(body, path), ...haste });
  const members: Record<string, JsonValue> = emptyObject();
  for (const [name, value] of Object.entries(body)) {
    if (!unread.has(name)) members[name] = value;
  }
  if (path !== undefined) {
    members['model'] = path.model;
    members['stream'] = path.stream;
  }
  const decoded = decodeMessages(members);
  if (!decoded.ok) return decoded;
  const betas = attempt(() => decodeBetas(new Fields(body), 'anthropic_beta'));
  if (!betas.ok) return betas;
  const { fields } = decoded.value.extensions;
  return ok({ ...decoded.value, ...betas.value, ...haste, extensions: { dialect, fields } });
}

/** What costs more here stands in headers, where Converse has it in the body. */
function isHasty(header: HeaderReader | undefined): boolean {
  return (
    header?.('x-amzn-bedrock-service-tier')?.trim().toLowerCase() === 'priority' ||
    header?.('x-amzn-bedrock-performanceconfig-latency')?.trim().toLowerCase() === 'optimized'
  );
}

export function encodeRequest(
  conversation: Conversation,
  target: EncodeTarget,
): Result<JsonObject, Refusal> {
  const vendor = vendorBodyOf(conversation);
  if (vendor !== undefined) return ok(vendor);
  return attempt(() => {
    const extensions = extensionsFor(conversation, dialect);
    const isOwn = conversation.extensions.dialect === dialect;
    const sayable = isOwn ? conversation : withSystemFirst(conversation);
    if (!isOwn) for (const [index, one] of sayable.messages.entries()) refuseUrls(one, index);
    return {
      anthropic_version: version,
      ...defined({ anthropic_beta: isOwn ? conversation.betas : betasForAmazon(conversation) }),
      ...defined(encodeMembers(sayable, target.maxOutputTokens)),
      ...extensions,
    };
  });
}

/** Models here take no instructions between the turns, so that those join the system prompt, in their order. */
function withSystemFirst(conversation: Conversation): Conversation {
  const between = conversation.messages.filter((message) => message.role === 'system');
  if (between.length === 0) return conversation;
  return {
    ...conversation,
    system: [...conversation.system, ...between.flatMap((message) => message.content)],
    // Left in place and empty, so that a refusal counts the messages as the caller does.
    messages: conversation.messages.map((message) =>
      message.role === 'system' ? { ...message, content: [] } : message,
    ),
  };
}

function refuseUrls(message: Message, index: number): void {
  for (const [at, part] of message.content.entries()) {
    const inner = part.kind === 'tool-result' ? part.content : [part];
    if (!inner.some(hasUrl)) continue;
    raiseUnsupported(
      `messages.${index}.content.${at}`,
      'the model that would answer takes files as data, not by address; send the bytes.',
    );
  }
}

function hasUrl(part: Part): boolean {
  return (part.kind === 'image' || part.kind === 'document') && part.source.kind === 'url';
}

/** The caller's own text with the cap where it has none. The model goes into the path. */
export function patchRequest(text: string, patch: RequestPatch): Result<string, Refusal> {
  const isMessages = objectText(text)
    .members()
    .some(({ name }) => name === 'anthropic_version');
  return ok(isMessages ? patchMembers(text, {}, patch.maxOutputTokens) : text);
}

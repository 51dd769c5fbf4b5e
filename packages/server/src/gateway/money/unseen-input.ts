import type { JsonObject } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { Conversation, Part } from '@postern/core/dialect';

/**
 * Input that a request refers to and does not hold: earlier answers and prompts that are kept at the provider, files there and in
 * the web, what servers of tools say while the answer is written. Nobody here knows how long it is. It is charged by what the answer
 * reports; this is what is set aside for it.
 */

/** Tokens for each: a book of 150 pages. */
const tokensEach = 50_000;
/** Of all that a request may refer to. */
const referencesMax = 8;

const kept = ['previous_response_id', 'conversation', 'mcp_servers', 'container'] as const;

export function unseenTokens(conversation: Conversation): number {
  // Of the plainest shape, which refers to nothing: its turns need not be read.
  if (conversation.estimated !== undefined) return 0;
  const { extensions, messages, tools } = conversation;
  let references = kept.filter((name) => name in extensions.fields).length;
  // A text is the prompt itself; an object names one that is kept.
  if (isJsonObject(extensions.fields['prompt'])) references += 1;
  for (const { foreign } of tools) if (foreign?.value['type'] === 'mcp') references += 1;
  for (const { content } of messages) references += referencesIn(content);
  return Math.min(references, referencesMax) * tokensEach;
}

function referencesIn(content: readonly Part[]): number {
  let references = 0;
  for (const part of content) {
    if (part.kind === 'tool-result') references += referencesIn(part.content);
    else if (refers(part)) references += 1;
  }
  return references;
}

function refers(part: Part): boolean {
  if (part.kind === 'document') return part.source.kind === 'url';
  if (part.kind !== 'foreign') return false;
  return part.value['type'] === 'item_reference' || namesFile(part.value, 3);
}

/** `{"file_id": …}`, `{"source": {"type": "file"}}`, `{"document": {"source": {"s3Location": …}}}`, … */
function namesFile(value: JsonObject, depth: number): boolean {
  if ('file_id' in value || 's3Location' in value) return true;
  if (value['type'] === 'url' && 'url' in value) return true;
  return (
    depth > 0 &&
    Object.values(value).some((each) => isJsonObject(each) && namesFile(each, depth - 1))
  );
}

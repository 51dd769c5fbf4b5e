import type { JsonObject } from '../../base/index.ts';
import type { Fields } from '../fields.ts';
import { defined } from '../fields.ts';
import type { Part } from '../model.ts';

/**
 * Reasoning items. `encrypted_content` is opaque to clients, so it carries whatever must come back unchanged: OpenAI's
 * own ciphertext as it is, another provider's signature or redacted block behind a word of ours that tells which it is.
 * In the canonical form OpenAI's ciphertext is a signature behind another such word: nobody else can read it, and
 * whoever sends reasoning to a provider has to tell whose it is.
 */

export type ThinkingPart = Extract<Part, { kind: 'thinking' | 'redacted-thinking' }>;

const ownSeal = 'openai-responses:';
const signedMark = 'postern-thinking:';
const redactedMark = 'postern-redacted:';

/** Was this reasoning sealed by OpenAI's Responses API? Then no other provider accepts it. */
export function isSealedByOpenAi(part: ThinkingPart): boolean {
  return part.kind === 'thinking' && (part.signature?.startsWith(ownSeal) ?? false);
}

/** What stands in `encrypted_content` for a caller. */
export function encryptedContent(part: ThinkingPart): string | undefined {
  if (part.kind === 'redacted-thinking') return redactedMark + part.data;
  return part.signature === undefined ? undefined : encryptedSignature(part.signature);
}

export function encryptedSignature(signature: string): string {
  return signature.startsWith(ownSeal) ? signature.slice(ownSeal.length) : signedMark + signature;
}

/** A reasoning item; undefined where it says nothing. */
export function decodeReasoning(item: Fields): ThinkingPart | undefined {
  return sealed(reasoningText(item), item.optionalText('encrypted_content'));
}

/** The summary, else the reasoning in the clear that open models give. */
function reasoningText(item: Fields): string {
  const summary = texts(item, 'summary').join('\n\n');
  return summary === '' ? texts(item, 'content').join('') : summary;
}

function texts(item: Fields, name: string): readonly string[] {
  return (item.optionalObjects(name) ?? []).map((part) => part.optionalText('text') ?? '');
}

/** Text and `encrypted_content` → the part that they are. */
export function sealed(text: string, encrypted: string | undefined): ThinkingPart | undefined {
  if (encrypted === undefined || encrypted === '') {
    return text === '' ? undefined : { kind: 'thinking', text };
  }
  if (encrypted.startsWith(redactedMark)) {
    return { kind: 'redacted-thinking', data: encrypted.slice(redactedMark.length) };
  }
  const signature = encrypted.startsWith(signedMark)
    ? encrypted.slice(signedMark.length)
    : ownSeal + encrypted;
  return { kind: 'thinking', text, signature };
}

export function encodeReasoning(
  id: string,
  text: string,
  encrypted: string | undefined,
): JsonObject {
  return defined({
    type: 'reasoning',
    id,
    summary: text === '' ? [] : [summaryPart(text)],
    encrypted_content: encrypted,
  });
}

export function summaryPart(text: string): JsonObject {
  return { type: 'summary_text', text };
}

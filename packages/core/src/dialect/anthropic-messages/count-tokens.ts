import type { JsonObject, Result } from '../../base/index.ts';
import { editMembers, objectText } from '../../base/index.ts';
import type { Refusal } from '../../errors/index.ts';
import { attempt } from '../attempt.ts';
import { defined } from '../fields.ts';
import type { Conversation } from '../model.ts';
import { tokenCount } from '../usage.ts';
import { encodePrompt } from './request-encode.ts';

/**
 * `POST /v1/messages/count_tokens`: a Messages request without the members about the answer, read by the dialect's
 * `decodeRequest`. An upstream of this dialect counts exactly; for others there is `estimateInputTokens`.
 *
 * Conversation → count request for an upstream that counts. */
export function encodeCountRequest(
  conversation: Conversation,
  model: string,
): Result<JsonObject, Refusal> {
  return attempt(() => defined({ model, ...encodePrompt(conversation) }));
}

/** The caller's own text with the model set. */
export function patchCountRequest(text: string, model: string): string {
  return editMembers(objectText(text), { set: { model } });
}

export function encodeCountAnswer(inputTokens: number): JsonObject {
  return { input_tokens: inputTokens };
}

/** The count in an upstream's answer, or undefined where there is none. */
export function decodeCountAnswer(body: JsonObject): number | undefined {
  return tokenCount(body['input_tokens']);
}

/** Where an upstream of this dialect counts, below its base URL. */
export const countTokensPath = '/v1/messages/count_tokens';

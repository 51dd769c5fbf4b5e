import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { ModelInfo } from '@postern/core/routing';
import type { HttpProviderKind } from './provider.ts';

/** The Messages API: key in `x-api-key`, a version in every request, a paged list. */
export const anthropicKind: HttpProviderKind = {
  authorize: (key) => ({ 'x-api-key': key }),
  headers: { 'anthropic-version': '2023-06-01' },
  listPath: '/v1/models',
  nextPage: (body) => {
    if (!isJsonObject(body) || body['has_more'] !== true) return undefined;
    const last = body['last_id'];
    return typeof last === 'string' ? `?after_id=${encodeURIComponent(last)}` : undefined;
  },
  readModel: readAnthropicModel,
};

function readAnthropicModel(entry: JsonValue): ModelInfo | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { id, created_at: createdAt, max_tokens: maxTokens } = entry;
  if (typeof id !== 'string' || id === '') return undefined;
  const createdMs = typeof createdAt === 'string' ? Date.parse(createdAt) : Number.NaN;
  return {
    id,
    ...(Number.isNaN(createdMs) ? {} : { created: Math.floor(createdMs / 1_000) }),
    ...(typeof maxTokens === 'number' && Number.isSafeInteger(maxTokens) && maxTokens > 0
      ? { maxOutputTokens: maxTokens }
      : {}),
  };
}

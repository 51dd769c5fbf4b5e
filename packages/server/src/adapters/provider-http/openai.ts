import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import type { ModelInfo } from '@postern/core/routing';
import type { HttpProviderKind } from './provider.ts';

/** Any OpenAI-compatible server: bearer key, `GET /models` in one page. */
export const openaiKind: HttpProviderKind = {
  authorize: (key) => ({ authorization: `Bearer ${key}` }),
  headers: {},
  listPath: '/models',
  nextPage: () => undefined,
  readModel: readOpenaiModel,
};

function readOpenaiModel(entry: JsonValue): ModelInfo | undefined {
  if (!isJsonObject(entry)) return undefined;
  const { id, created } = entry;
  if (typeof id !== 'string' || id === '') return undefined;
  return typeof created === 'number' && Number.isSafeInteger(created) ? { id, created } : { id };
}

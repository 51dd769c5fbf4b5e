import type { Dialect } from '../dialect.ts';
import { noStream } from '../no-stream.ts';
import { encodeRefusal } from '../openai-chat/error.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { usageOfOpenAi } from '../usage.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { decodeRequest, encodeRequest, patchRequest } from './request.ts';

/** `POST /v1/embeddings`. */
export const openAiEmbeddings: Dialect = Object.freeze({
  ...noStream,
  name: 'openai-embeddings',
  upstreamPath: () => '/embeddings',
  requestHeaders: ['openai-beta'],
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => usageOfOpenAi(body['usage']),
  usageMember: 'usage',
  encodeRefusal,
  decodeUpstreamError,
} satisfies Dialect);

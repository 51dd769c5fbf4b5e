import { encodeSseComment } from '../../base/index.ts';
import type { Dialect } from '../dialect.ts';
import { encodeRefusal, encodeStreamRefusal } from '../openai-chat/error.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { glanceAtUsage } from '../usage-glance.ts';
import { usageOfOpenAi } from '../usage.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { decodeRequest, encodeRequest, patchRequest } from './request.ts';
import { streamDecoder, streamEncoder, streamWatcher } from './stream.ts';

/** `POST /v1/completions`. */
export const openAiCompletions: Dialect = Object.freeze({
  name: 'openai-completions',
  upstreamPath: () => '/completions',
  streamContentType: 'text/event-stream',
  heartbeat: encodeSseComment('keep-alive'),
  requestHeaders: ['openai-beta'],
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => usageOfOpenAi(body['usage']),
  usageMember: 'usage',
  glanceUsage: glanceAtUsage,
  streamDecoder,
  streamEncoder,
  streamWatcher,
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

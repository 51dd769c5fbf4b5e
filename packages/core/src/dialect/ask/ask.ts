import { encodeSseComment } from '../../base/index.ts';
import type { Dialect } from '../dialect.ts';
import { encodeRefusal } from '../openai-chat/error.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { usageOfOpenAi } from '../usage.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { decodeRequest, encodeRequest, patchRequest } from './request.ts';
import { encodeStreamRefusal, streamDecoder, streamEncoder, streamWatcher } from './stream.ts';

/** `POST /ask`. */
export const ask: Dialect = Object.freeze({
  name: 'ask',
  upstreamPath: () => '/ask',
  streamContentType: 'text/event-stream',
  heartbeat: encodeSseComment('keep-alive'),
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => usageOfOpenAi(body['usage']),
  streamDecoder,
  streamEncoder,
  streamWatcher: () => streamWatcher(),
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

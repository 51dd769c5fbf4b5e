import { encodeSseComment } from '../../base/index.ts';
import type { Dialect } from '../dialect.ts';
import { encodeRefusal } from '../openai-chat/error.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { encodeStreamRefusal } from './error.ts';
import { decodeRequest } from './request-decode.ts';
import { encodeRequest, patchRequest } from './request-encode.ts';
import { streamDecoder } from './stream-decode.ts';
import { streamEncoder } from './stream-encode.ts';
import { streamWatcher } from './stream-watch.ts';
import { tierMark } from '../usage.ts';
import { toolMarks, usageOfResponse } from './usage.ts';

/** `POST /v1/responses`. */
export const openAiResponses: Dialect = Object.freeze({
  name: 'openai-responses',
  upstreamPath: () => '/responses',
  streamContentType: 'text/event-stream',
  heartbeat: encodeSseComment('keep-alive'),
  requestHeaders: ['openai-beta'],
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: usageOfResponse,
  usageMember: 'usage',
  usageBeside: [...toolMarks, tierMark],
  streamDecoder,
  streamEncoder,
  streamWatcher,
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

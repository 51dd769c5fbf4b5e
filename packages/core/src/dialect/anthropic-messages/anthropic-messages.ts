import { encodeSse } from '../../base/index.ts';
import type { Dialect } from '../dialect.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { usageOfAnthropic } from '../usage.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { encodeRefusal, encodeStreamRefusal } from './error.ts';
import { decodeRequest } from './request-decode.ts';
import { encodeHeaders, requestHeaders } from './headers.ts';
import { encodeRequest, patchRequest } from './request-encode.ts';
import { streamDecoder } from './stream-decode.ts';
import { streamEncoder } from './stream-encode.ts';
import { streamWatcher } from './stream-watch.ts';

/** `POST /v1/messages`. */
export const anthropicMessages: Dialect = Object.freeze({
  name: 'anthropic-messages',
  upstreamPath: () => '/v1/messages',
  streamContentType: 'text/event-stream',
  heartbeat: encodeSse({ event: 'ping', data: '{"type": "ping"}' }),
  requestHeaders,
  encodeHeaders,
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => usageOfAnthropic(body['usage'], undefined),
  usageMember: 'usage',
  streamDecoder,
  streamEncoder,
  streamWatcher: () => streamWatcher(),
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

import { encodeSseComment } from '../../base/index.ts';
import type { Dialect } from '../dialect.ts';
import { decodeUpstreamError } from '../upstream-error.ts';
import { glanceAtUsage } from '../usage-glance.ts';
import { atTierOf, tierMark, usageOfOpenAi } from '../usage.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { encodeRefusal, encodeStreamRefusal } from './error.ts';
import { decodeRequest } from './request-decode.ts';
import { capField, encodeRequest } from './request-encode.ts';
import { glanceAtRequest } from './request-glance.ts';
import { patchOpenAi } from './request-patch.ts';
import { streamDecoder } from './stream-decode.ts';
import { streamEncoder } from './stream-encode.ts';
import { chatChars, openAiWatcher } from './stream-watch.ts';

/** `POST /v1/chat/completions`. */
export const openAiChat: Dialect = Object.freeze({
  name: 'openai-chat',
  upstreamPath: () => '/chat/completions',
  streamContentType: 'text/event-stream',
  heartbeat: encodeSseComment('keep-alive'),
  requestHeaders: ['openai-beta'],
  decodeRequest,
  glanceRequest: glanceAtRequest,
  encodeRequest,
  patchRequest: (text, patch) => {
    const name = capField(patch.model);
    return patchOpenAi(text, patch, [name, 'max_tokens', 'max_completion_tokens']);
  },
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => atTierOf(body, usageOfOpenAi(body['usage'])),
  usageMember: 'usage',
  usageBeside: [tierMark],
  glanceUsage: glanceAtUsage,
  streamDecoder,
  streamEncoder,
  streamWatcher: (context) => openAiWatcher(context, chatChars),
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

import type { Dialect } from '../dialect.ts';
import { decodeAnswer, encodeAnswer } from './answer.ts';
import { decodeUpstreamError, encodeRefusal, encodeStreamRefusal } from './error.ts';
import { eventStreamType } from './frames.ts';
import type { Operations } from './path.ts';
import { modelPath, readModelPath } from './path.ts';
import { decodeRequest } from './request-decode.ts';
import { encodeRequest, patchRequest } from './request-encode.ts';
import { streamDecoder } from './stream-decode.ts';
import { streamEncoder } from './stream-encode.ts';
import { streamWatcher } from './stream-watch.ts';
import { usageOfConverse } from './usage.ts';

const operations: Operations = { whole: 'converse', stream: 'converse-stream' };

/** `POST /model/{id}/converse` and `/model/{id}/converse-stream`. */
export const bedrockConverse: Dialect = Object.freeze({
  name: 'bedrock-converse',
  upstreamPath: (model, stream) => modelPath(operations, model, stream),
  readPath: (path) => readModelPath(operations, path),
  streamContentType: eventStreamType,
  // No message is ignored by every client library of this format.
  heartbeat: new Uint8Array(0),
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: (body) => usageOfConverse(body['usage']),
  usageMember: 'usage',
  streamDecoder,
  streamEncoder,
  streamWatcher: () => streamWatcher(),
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

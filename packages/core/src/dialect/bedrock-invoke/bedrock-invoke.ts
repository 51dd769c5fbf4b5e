import { decodeAnswer, encodeAnswer } from '../anthropic-messages/answer.ts';
import {
  decodeUpstreamError,
  encodeRefusal,
  encodeStreamRefusal,
} from '../bedrock-converse/error.ts';
import { eventStreamType } from '../bedrock-converse/frames.ts';
import type { Operations } from '../bedrock-converse/path.ts';
import { modelPath, readModelPath } from '../bedrock-converse/path.ts';
import type { Dialect } from '../dialect.ts';
import { decodeRequest, encodeRequest, patchRequest } from './request.ts';
import { streamDecoder, streamEncoder, streamWatcher } from './stream.ts';
import { usageOfHeaders, usageOfVendor } from './vendor-body.ts';

const operations: Operations = { whole: 'invoke', stream: 'invoke-with-response-stream' };

/** What Converse says in its body: a guardrail, how fast, which tier. */
const requestHeaders = [
  'x-amzn-bedrock-guardrailidentifier',
  'x-amzn-bedrock-guardrailversion',
  'x-amzn-bedrock-trace',
  'x-amzn-bedrock-performanceconfig-latency',
  'x-amzn-bedrock-service-tier',
] as const;

/** `POST /model/{id}/invoke` and `/model/{id}/invoke-with-response-stream`. */
export const bedrockInvoke: Dialect = Object.freeze({
  name: 'bedrock-invoke',
  upstreamPath: (model, stream) => modelPath(operations, model, stream),
  readPath: (path) => readModelPath(operations, path),
  streamContentType: eventStreamType,
  // No message is ignored by every client library of this format.
  heartbeat: new Uint8Array(0),
  requestHeaders,
  decodeRequest,
  encodeRequest,
  patchRequest,
  decodeAnswer,
  encodeAnswer,
  usageOfAnswer: usageOfVendor,
  usageOfHeaders,
  streamDecoder,
  streamEncoder,
  streamWatcher: () => streamWatcher(),
  encodeRefusal,
  encodeStreamRefusal,
  decodeUpstreamError,
} satisfies Dialect);

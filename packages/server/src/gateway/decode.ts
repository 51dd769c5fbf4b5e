import { isAscii } from 'node:buffer';
import type { JsonDocument, JsonObject, Result, Soon } from '@postern/core/base';
import {
  andThen,
  isJsonObject,
  ok,
  parseJson,
  requestJsonLimits,
  utf8Text,
} from '@postern/core/base';
import type { Conversation, Dialect } from '@postern/core/dialect';
import { otherModelIn } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { gatewayLimits } from './limits.ts';
import type { Decoded, Identified } from './stages.ts';

/** Larger bodies are not of the plain shape, or their bytes cost more than their tree. */
const glanceBytesMax = 65_536;

/** A body that is one JSON object. */
export interface ObjectBody {
  readonly document: JsonDocument;
  readonly object: JsonObject;
}

/** Reads the body as JSON whatever its content type says: clients of the field send all sorts. */
export function readObject(stage: Identified): Soon<Result<ObjectBody, Refusal>> {
  const { bodyBytes } = stage.view.limits;
  return andThen(stage.request.readBody(bodyBytes), (body) => {
    if (!body.ok) return body;
    return body.value.length === 0 ? emptyBody() : objectOf(body.value, bodyBytes);
  });
}

function emptyBody(): Result<never, Refusal> {
  return refuse('invalid_json', 'The body is empty; send one JSON object.');
}

function objectOf(bytes: Uint8Array, bytesMax: number): Result<ObjectBody, Refusal> {
  const document = parseJson(bytes, { ...requestJsonLimits, bytesMax });
  if (!document.ok) {
    const { line, column, message } = document.error;
    return refuse(
      'invalid_json',
      `The body is not acceptable JSON (line ${line}, column ${column}): ${message}.`,
    );
  }
  if (!isJsonObject(document.value.value)) {
    return refuse('invalid_json', 'The body is JSON but not an object; send one JSON object.');
  }
  return ok({ document: document.value, object: document.value.value });
}

/** Formats that say something in their path are served below a base of our own. */
export const bedrockBase = '/bedrock';

function belowBase(path: string): string {
  return path.startsWith(`${bedrockBase}/`) ? path.slice(bedrockBase.length) : path;
}

/** A body in the caller's format, as the conversation that it asks to continue. */
export function decode(stage: Identified, dialect: Dialect): Soon<Result<Decoded, Refusal>> {
  return andThen(stage.request.readBody(stage.view.limits.bodyBytes), (body) => {
    if (!body.ok) return body;
    return body.value.length === 0 ? emptyBody() : decodeBytes(body.value, stage, dialect);
  });
}

function decodeBytes(
  bytes: Uint8Array,
  stage: Identified,
  dialect: Dialect,
): Result<Decoded, Refusal> {
  const read = glanced(bytes, dialect) ?? parsed(bytes, stage, dialect);
  if (!read.ok) return read;
  if ((read.value.conversation.model?.length ?? 0) > gatewayLimits.modelNameCharsMax) {
    return refuse(
      'invalid_request',
      `model: a name has at most ${gatewayLimits.modelNameCharsMax} characters.`,
      { param: 'model' },
    );
  }
  const { request, reply, view, caller, trace } = stage;
  const { text, conversation, glanced: found } = read.value;
  return ok({ request, reply, view, caller, trace, dialect, text, conversation, glanced: found });
}

type Read = Pick<Decoded, 'text' | 'conversation' | 'glanced'>;

/** Most bodies are ASCII, which takes no decoder. */
function textOf(bytes: Uint8Array): string | undefined {
  const isPlain = bytes instanceof Buffer && isAscii(bytes);
  return isPlain ? bytes.toString('latin1') : utf8Text(bytes);
}

/** Bodies of the plainest shape are read without building their tree; it is the same conversation. */
function glanced(bytes: Uint8Array, dialect: Dialect): Result<Read, never> | undefined {
  if (dialect.glanceRequest === undefined || bytes.length > glanceBytesMax) return undefined;
  const text = textOf(bytes);
  const found = text === undefined ? undefined : dialect.glanceRequest(text);
  if (text === undefined || found === undefined) return undefined;
  return ok({ text, conversation: found.conversation, glanced: { request: found, bytes } });
}

function parsed(bytes: Uint8Array, stage: Identified, dialect: Dialect): Result<Read, Refusal> {
  const { request, view } = stage;
  const body = objectOf(bytes, view.limits.bodyBytes);
  if (!body.ok) return body;
  const path = dialect.readPath?.(belowBase(request.path));
  const conversation: Result<Conversation, Refusal> = dialect.decodeRequest(
    body.value.object,
    path,
    (name) => request.headers.get(name),
  );
  if (!conversation.ok) return conversation;
  const other = otherModelIn(conversation.value);
  if (other !== undefined) return refuseOther(other);
  return ok({ text: body.value.document.text, conversation: conversation.value });
}

/** Whoever may use one model would get any through it, at the price of the one. */
function refuseOther(param: string): Result<never, Refusal> {
  return refuse(
    'unsupported_parameter',
    `${param}: a request names one model, in "model": that is what the policy permits and the price is of. Leave this out and ask for the other one by itself; what to fall back to is said by whoever runs this Postern, in an alias.`,
    { param },
  );
}

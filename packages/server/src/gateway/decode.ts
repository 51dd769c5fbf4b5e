import type { JsonDocument, JsonObject, Result } from '@postern/core/base';
import { isJsonObject, ok, parseJson, requestJsonLimits, utf8Text } from '@postern/core/base';
import type { Conversation, Dialect } from '@postern/core/dialect';
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
export async function readObject(stage: Identified): Promise<Result<ObjectBody, Refusal>> {
  const body = await readBytes(stage);
  return body.ok ? objectOf(body.value, stage.view.limits.bodyBytes) : body;
}

async function readBytes(stage: Identified): Promise<Result<Uint8Array, Refusal>> {
  const body = await stage.request.readBody(stage.view.limits.bodyBytes);
  if (!body.ok || body.value.length > 0) return body;
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
export async function decode(
  stage: Identified,
  dialect: Dialect,
): Promise<Result<Decoded, Refusal>> {
  const body = await readBytes(stage);
  if (!body.ok) return body;
  const read = glanced(body.value, dialect) ?? parsed(body.value, stage, dialect);
  if (!read.ok) return read;
  if ((read.value.conversation.model?.length ?? 0) > gatewayLimits.modelNameCharsMax) {
    return refuse(
      'invalid_request',
      `model: a name has at most ${gatewayLimits.modelNameCharsMax} characters.`,
      { param: 'model' },
    );
  }
  return ok({ ...stage, dialect, ...read.value });
}

type Read = Pick<Decoded, 'text' | 'conversation' | 'glanced'>;

/** Bodies of the plainest shape are read without building their tree; it is the same conversation. */
function glanced(bytes: Uint8Array, dialect: Dialect): Result<Read, never> | undefined {
  if (dialect.glanceRequest === undefined || bytes.length > glanceBytesMax) return undefined;
  const text = utf8Text(bytes);
  const found = text === undefined ? undefined : dialect.glanceRequest(text);
  if (text === undefined || found === undefined) return undefined;
  return ok({ text, conversation: found.conversation, glanced: found });
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
  return ok({ text: body.value.document.text, conversation: conversation.value });
}

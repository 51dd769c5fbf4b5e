import type { JsonDocument, JsonObject, Result } from '@postern/core/base';
import { isJsonObject, ok, parseJson, requestJsonLimits } from '@postern/core/base';
import type { Dialect } from '@postern/core/dialect';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { gatewayLimits } from './limits.ts';
import type { Decoded, Identified } from './stages.ts';

/** A body that is one JSON object. */
export interface ObjectBody {
  readonly document: JsonDocument;
  readonly object: JsonObject;
}

/** Reads the body as JSON whatever its content type says: clients of the field send all sorts. */
export async function readObject(stage: Identified): Promise<Result<ObjectBody, Refusal>> {
  const bytesMax = stage.view.limits.bodyBytes;
  const body = await stage.request.readBody(bytesMax);
  if (!body.ok) return body;
  if (body.value.length === 0)
    return refuse('invalid_json', 'The body is empty; send one JSON object.');
  const document = parseJson(body.value, { ...requestJsonLimits, bytesMax });
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
  const body = await readObject(stage);
  if (!body.ok) return body;
  const { request } = stage;
  const path = dialect.readPath?.(belowBase(request.path));
  const conversation = dialect.decodeRequest(body.value.object, path, (name) =>
    request.headers.get(name),
  );
  if (!conversation.ok) return conversation;
  if ((conversation.value.model?.length ?? 0) > gatewayLimits.modelNameCharsMax) {
    return refuse(
      'invalid_request',
      `model: a name has at most ${gatewayLimits.modelNameCharsMax} characters.`,
      { param: 'model' },
    );
  }
  return ok({ ...stage, dialect, document: body.value.document, conversation: conversation.value });
}

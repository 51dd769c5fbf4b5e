import type { JsonObject, JsonValue } from '../../base/index.ts';
import { jsonObjectOf } from '../../base/index.ts';
import { raiseUnsupported } from '../attempt.ts';
import type { Fields } from '../fields.ts';
import { defined } from '../fields.ts';
import type { Conversation, ResponseFormat } from '../model.ts';

/** `outputConfig`: effort, and structured output by schema. */

/** The effort that is asked for, and the format; what is not understood becomes an extension, whole. */
export function decodeOutputConfig(
  fields: Fields,
  extensions: Record<string, JsonValue>,
): { readonly effort: string | undefined; readonly format: ResponseFormat | undefined } {
  const config = fields.optionalObject('outputConfig');
  if (config === undefined) return { effort: undefined, format: undefined };
  const effort = config.optionalText('effort');
  const wanted = config.optionalObject('textFormat');
  const format = wanted === undefined ? undefined : decodeFormat(wanted);
  const extra = config.others(new Set(['effort', 'textFormat']));
  const isLost = wanted !== undefined && format === undefined;
  if (isLost || Object.keys(extra).length > 0) {
    extensions['outputConfig'] = config.value;
    return { effort: undefined, format: undefined };
  }
  return { effort, format };
}

function decodeFormat(wanted: Fields): ResponseFormat | undefined {
  const definition = wanted.optionalObject('structure')?.optionalObject('jsonSchema');
  if (wanted.text('type') !== 'json_schema' || definition === undefined) return undefined;
  if (definition.has('description')) return undefined;
  const schema = jsonObjectOf(definition.text('schema'));
  if (schema === undefined) return definition.wrong('schema', 'the text of a JSON object');
  return { kind: 'schema', name: definition.optionalText('name') ?? 'response', schema };
}

export function encodeOutputConfig(conversation: Conversation): JsonObject | undefined {
  const { format, reasoning } = conversation;
  if (format?.kind === 'json') {
    raiseUnsupported(
      'response_format',
      'the model that would answer gives JSON by schema only; use json_schema.',
    );
  }
  const isWished = reasoning?.kind === 'effort' && reasoning.effort !== 'none';
  const config = defined({
    // The lowest effort of OpenAI has no name of its own here.
    effort: isWished ? (reasoning.effort === 'minimal' ? 'low' : reasoning.effort) : undefined,
    textFormat: format?.kind === 'schema' ? encodeFormat(format) : undefined,
  });
  return Object.keys(config).length === 0 ? undefined : config;
}

function encodeFormat(format: Extract<ResponseFormat, { kind: 'schema' }>): JsonObject {
  const jsonSchema = { schema: JSON.stringify(format.schema), name: format.name };
  return { type: 'json_schema', structure: { jsonSchema } };
}

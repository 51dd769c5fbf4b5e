import type { JsonObject, JsonValue } from '@postern/core/base';
import { z } from 'zod';
import { jsonOf } from './tool.ts';

/** The JSON Schema of arguments, in as few words as say the same: every model reads it with every request. */
export function describeInput(input: z.ZodObject): JsonObject {
  const { $schema: _, ...schema } = jsonOf(z.toJSONSchema(input, { io: 'input' }));
  return jsonOf(lean(schema));
}

/** Bounds that only guard against nonsense; a call beyond them is refused with a sentence. */
const unsaid: ReadonlySet<string> = new Set(['minLength', 'maxLength', 'maxItems', 'pattern']);

function lean(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(lean);
  if (typeof value !== 'object' || value === null) return value;
  // `properties` holds names of arguments, not keywords.
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, item]) => !(unsaid.has(key) && typeof item !== 'object'))
      .map(([key, item]) => [key, lean(item)]),
  );
}

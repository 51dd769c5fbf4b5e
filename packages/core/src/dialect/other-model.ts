import type { JsonObject, JsonValue } from '../base/index.ts';
import { isJsonObject } from '../base/index.ts';
import { isList } from './fields.ts';
import type { Conversation } from './model.ts';

/**
 * Which model answers is said once, in `model`, and that is what the policy permits and the price is of. Routers and some
 * providers take further names: to fall back to (`models`, `fallbacks`), to ask for advice or pictures (a tool's own
 * `model`), to lay an adapter over it (`lora_path`), or a set of settings kept with them that has one (`preset`). All of them
 * go by these names.
 */
const namesOfModels =
  /models?(?:ids?|names?|lists?)?$|fallbacks?$|^lora(?:paths?|names?|ids?)?$|^adapterids?$/;
const settingsKept = 'preset';

/** The caller's own words for its own books, and what it fills into a text: nobody looks for a model there. */
const freeText: ReadonlySet<string> = new Set([
  'client_metadata',
  'examples',
  'logit_bias',
  'metadata',
  'promptVariables',
  'requestMetadata',
  'variables',
]);

/**
 * Where a request names a model beside its own (`fallbacks`, `tools.advisor.model`), in what goes on unread to an upstream of
 * its own format. Undefined where it does not.
 */
export function otherModelIn({ tools, extensions }: Conversation): string | undefined {
  const { fields } = extensions;
  if (isSaid(fields[settingsKept])) return settingsKept;
  const named = nameIn(fields, '');
  if (named !== undefined) return named;
  for (const { name, foreign } of tools) {
    const found = foreign === undefined ? undefined : nameIn(foreign.value, `tools.${name}.`);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The JSON that is read here has a bounded depth. */
function nameIn(object: JsonObject, path: string): string | undefined {
  for (const [name, value] of Object.entries(object)) {
    if (typeof value !== 'object' && typeof value !== 'string') continue;
    if (freeText.has(name)) continue;
    if (isSaid(value) && isNameOfModels(name)) return `${path}${name}`;
    const found = within(value, `${path}${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function within(value: JsonValue, path: string): string | undefined {
  if (isJsonObject(value)) return nameIn(value, `${path}.`);
  if (!isList(value)) return undefined;
  for (const [index, item] of value.entries()) {
    const found = within(item, `${path}.${index}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function isNameOfModels(name: string): boolean {
  return namesOfModels.test(name.toLowerCase().replaceAll(/[^a-z]/g, ''));
}

/** An object is none: a schema has one for a property that is called `model`. */
function isSaid(value: JsonValue | undefined): boolean {
  return isList(value) ? value.length > 0 : typeof value === 'string' && value !== '';
}

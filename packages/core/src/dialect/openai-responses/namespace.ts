import type { AnswerContext } from '../dialect.ts';
import type { Fields } from '../fields.ts';
import { optional } from '../fields.ts';
import type { ToolDefinition } from '../model.ts';

/**
 * Groups of tools: `{"type":"namespace","name":"agents","tools":[…]}`, whose calls name the group beside the tool. Other
 * formats have one list, so that a tool goes there as `agents__close` and its call comes back under both names.
 */

const joint = '__';

export function nameIn(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}${joint}${name}`;
}

/** The two names of a call, as the caller's own tools have them. */
export function namesOfCall(
  name: string,
  { conversation }: AnswerContext,
): { readonly name: string; readonly namespace?: string } {
  const tool = conversation?.tools.find((each) => each.name === name);
  if (tool?.namespace === undefined) return { name };
  return {
    name: name.slice(tool.namespace.length + joint.length),
    namespace: tool.namespace,
  };
}

/** The functions of a group; undefined where it holds anything else, which is then nobody's but the format's own. */
export function decodeNamespace(
  group: Fields,
  decode: (tool: Fields) => ToolDefinition,
): readonly ToolDefinition[] | undefined {
  const namespace = group.text('name');
  const inner = group.objects('tools');
  if (inner.some((tool) => tool.text('type') !== 'function')) return undefined;
  return inner.map((tool) => {
    const made = decode(tool);
    return { ...made, name: nameIn(namespace, made.name), ...optional('namespace', namespace) };
  });
}

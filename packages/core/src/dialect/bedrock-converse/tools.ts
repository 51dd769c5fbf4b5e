import type { JsonObject } from '../../base/index.ts';
import { raiseUnsupported } from '../attempt.ts';
import type { Fields } from '../fields.ts';
import { defined, optional } from '../fields.ts';
import type { Conversation, ToolChoice, ToolDefinition } from '../model.ts';
import { cachePointOf, markerOf } from './cache.ts';
import { idOf, isToolName } from './names.ts';
import type { ModelTraits } from './traits.ts';

/** `toolConfig`: definitions, their cache points, and the choice among them. */

const dialect = 'bedrock-converse';

export function decodeTools(body: Fields): readonly ToolDefinition[] {
  const tools: ToolDefinition[] = [];
  for (const tool of body.optionalObject('toolConfig')?.objects('tools') ?? []) {
    const point = tool.optionalObject('cachePoint');
    const cache = point === undefined ? undefined : markerOf(point);
    const last = tools.at(-1);
    if (cache === undefined || last === undefined || last.cache !== undefined) {
      tools.push(decodeTool(tool));
    } else {
      tools[tools.length - 1] = { ...last, cache };
    }
  }
  return tools;
}

function decodeTool(tool: Fields): ToolDefinition {
  const spec = tool.optionalObject('toolSpec');
  if (spec === undefined) {
    const [kind] = Object.keys(tool.value);
    const name = tool.optionalObject('systemTool')?.optionalText('name') ?? kind ?? 'tool';
    return { name, schema: {}, foreign: { dialect, value: tool.value } };
  }
  return {
    name: spec.text('name'),
    ...optional('description', spec.optionalText('description')),
    schema: spec.object('inputSchema').object('json').value,
    ...optional('strict', spec.optionalFlag('strict')),
  };
}

export function decodeToolChoice(body: Fields): ToolChoice | undefined {
  const choice = body.optionalObject('toolConfig')?.optionalObject('toolChoice');
  if (choice === undefined) return undefined;
  if (choice.has('auto')) return { kind: 'auto' };
  if (choice.has('any')) return { kind: 'required' };
  if (choice.has('tool')) return { kind: 'tool', name: choice.object('tool').text('name') };
  return body.wrong('toolConfig.toolChoice', 'auto, any or tool');
}

/**
 * The tools of a request. A history with calls or results is refused without a `toolConfig`, so that one is made of the
 * names in it where the caller defines no tools (any more).
 */
export function encodeToolConfig(
  conversation: Conversation,
  traits: ModelTraits,
): JsonObject | undefined {
  const { tools, toolChoice } = conversation;
  const history = historyNames(conversation);
  if (toolChoice?.kind === 'none' && tools.length > 0) {
    // Nothing here forbids calls but the absence of tools.
    if (history === undefined) return undefined;
    raiseUnsupported(
      'tool_choice',
      'the model that would answer cannot be kept from calling the tools that the history holds.',
    );
  }
  if (tools.length === 0) {
    return history === undefined ? undefined : { tools: history.map(formerTool) };
  }
  return defined({
    tools: tools.flatMap((tool, index) => encodeTool(tool, index, traits)),
    toolChoice: toolChoice === undefined ? undefined : encodeToolChoice(toolChoice),
  });
}

/** Names of the tools that the history calls, each once, in the order of their first calls. */
function historyNames(conversation: Conversation): readonly string[] | undefined {
  const names = new Set<string>();
  let hasResult = false;
  for (const { content } of conversation.messages) {
    for (const part of content) {
      if (part.kind === 'tool-call') names.add(idOf(part.name));
      hasResult ||= part.kind === 'tool-result';
    }
  }
  if (names.size === 0) return hasResult ? ['tool'] : undefined;
  return [...names];
}

function formerTool(name: string): JsonObject {
  return {
    toolSpec: {
      name,
      description: 'Used earlier in this conversation; not available any more.',
      inputSchema: { json: { type: 'object' } },
    },
  };
}

function encodeTool(
  tool: ToolDefinition,
  index: number,
  traits: ModelTraits,
): readonly JsonObject[] {
  const encoded = encodeDefinition(tool, index);
  return tool.cache === undefined || !traits.hasToolCache
    ? [encoded]
    : [encoded, cachePointOf(tool.cache, true)];
}

function encodeDefinition(tool: ToolDefinition, index: number): JsonObject {
  if (tool.foreign !== undefined) {
    if (tool.foreign.dialect === dialect) return tool.foreign.value;
    return raiseUnsupported(
      `tools.${index}`,
      'the model that would answer does not have this tool.',
    );
  }
  if (!isToolName(tool.name)) {
    raiseUnsupported(
      `tools.${index}.name`,
      'the model that would answer takes names of at most 64 letters, digits, _ and -.',
    );
  }
  const schema = Object.hasOwn(tool.schema, 'type')
    ? tool.schema
    : { type: 'object', ...tool.schema };
  return {
    toolSpec: defined({
      name: tool.name,
      // Empty text is refused.
      description: tool.description === '' ? undefined : tool.description,
      inputSchema: { json: schema },
      strict: tool.strict,
    }),
  };
}

function encodeToolChoice(choice: ToolChoice): JsonObject | undefined {
  switch (choice.kind) {
    case 'auto':
      return { auto: {} };
    case 'required':
      return { any: {} };
    case 'tool':
      return { tool: { name: choice.name } };
    case 'none':
      return undefined;
  }
}

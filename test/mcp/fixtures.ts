/**
 * What the official conformance suite calls by name: tools, resources and prompts that exist for it alone, mounted on the
 * product's own handler, before the product's own surface. No release contains any of this.
 */
import type {
  CallToolResult,
  GetPromptResult,
  InputRequests,
  InputRequiredResult,
  ServerNotifier,
} from '@modelcontextprotocol/server';
import {
  createRequestStateCodec,
  inputRequired,
  inputResponse,
  ProtocolError,
} from '@modelcontextprotocol/server';
import type { Ask, Surface } from '../../packages/server/src/mcp/protocol/index.ts';

const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const wav = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

type ToolAnswer = CallToolResult | InputRequiredResult;
type FixtureTool = (ask: Ask, args: Record<string, unknown>) => ToolAnswer | Promise<ToolAnswer>;

const codec = createRequestStateCodec<{ readonly step: number }>({
  key: 'a key of the tests, of thirty-two bytes or more',
});

function said(text: string): CallToolResult {
  return { content: [{ type: 'text', text }] };
}

const nameForm = (message: string, field = 'name') =>
  inputRequired.elicit({
    message,
    requestedSchema: {
      type: 'object',
      properties: { [field]: { type: 'string' } },
      required: [field],
    },
  });

function sample(text: string, maxTokens: number) {
  return inputRequired.createMessage({
    messages: [{ role: 'user', content: { type: 'text', text } }],
    maxTokens,
  });
}

/** The text that somebody typed; undefined where they were not asked yet. */
function typed({ context }: Ask, key: string, field: string): string | undefined {
  const view = inputResponse(context.mcpReq.inputResponses, key);
  const value =
    view.kind === 'elicit' && view.action === 'accept' ? view.content?.[field] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function need(inputRequests: InputRequests, requestState?: string): InputRequiredResult {
  return inputRequired({
    inputRequests,
    ...(requestState === undefined ? {} : { requestState }),
  });
}

async function stateOf({ context }: Ask): Promise<number> {
  const state = context.mcpReq.requestState<string>();
  if (state === undefined) return 0;
  try {
    return (await codec.verify(state, context)).step;
  } catch {
    throw new ProtocolError(-32_602, 'Invalid or expired requestState');
  }
}

async function pause(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 20);
  });
}

/** Of the older era: asks while the call runs. */
async function elicited(
  { context }: Ask,
  message: string,
  properties: object,
  required: readonly string[] = [],
): Promise<CallToolResult> {
  const result = await context.mcpReq.send({
    method: 'elicitation/create',
    params: { message, requestedSchema: { type: 'object', properties, required } },
  });
  return said(`action=${result.action}, content=${JSON.stringify(result.content ?? {})}`);
}

const enums = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: {
    type: 'string',
    oneOf: [
      { const: 'value1', title: 'First Option' },
      { const: 'value2', title: 'Second Option' },
      { const: 'value3', title: 'Third Option' },
    ],
  },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  },
  titledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: {
      anyOf: [
        { const: 'value1', title: 'First Choice' },
        { const: 'value2', title: 'Second Choice' },
        { const: 'value3', title: 'Third Choice' },
      ],
    },
  },
};
const defaults = {
  name: { type: 'string', default: 'John Doe' },
  age: { type: 'integer', default: 30 },
  score: { type: 'number', default: 95.5 },
  status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', default: true },
};

const tools: Readonly<Record<string, FixtureTool>> = {
  test_simple_text: () => said('This is a simple text response for testing.'),
  test_image_content: () => ({ content: [{ type: 'image', data: png, mimeType: 'image/png' }] }),
  test_audio_content: () => ({ content: [{ type: 'audio', data: wav, mimeType: 'audio/wav' }] }),
  test_embedded_resource: () => ({
    content: [
      {
        type: 'resource',
        resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'Embedded.' },
      },
    ],
  }),
  test_multiple_content_types: () => ({
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: png, mimeType: 'image/png' },
      {
        type: 'resource',
        resource: {
          uri: 'test://mixed-content-resource',
          mimeType: 'application/json',
          text: '{"test":"data","value":123}',
        },
      },
    ],
  }),
  test_error_handling: () => ({
    ...said('This tool intentionally returns an error for testing'),
    isError: true,
  }),
  test_tool_with_progress: async ({ context }) => {
    const progressToken = context.mcpReq._meta?.progressToken ?? 0;
    for (const progress of [0, 50, 100]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await context.mcpReq.notify({
        method: 'notifications/progress',
        params: { progressToken, progress, total: 100 },
      });
      // oxlint-disable-next-line no-await-in-loop -- in order
      await pause();
    }
    return said(String(progressToken));
  },
  test_tool_with_logging: async ({ context }) => {
    for (const data of [
      'Tool execution started',
      'Tool processing data',
      'Tool execution completed',
    ]) {
      // oxlint-disable-next-line no-await-in-loop -- in order
      await context.mcpReq.log('info', data);
      // oxlint-disable-next-line no-await-in-loop -- in order
      await pause();
    }
    return said('Tool with logging executed successfully');
  },
  test_logging_tool: async ({ context }) => {
    await context.mcpReq.log('info', 'logged');
    return said('logged where it was wanted');
  },
  test_sampling: async ({ context }, { prompt }) => {
    const result = await context.mcpReq.requestSampling({
      messages: [{ role: 'user', content: { type: 'text', text: String(prompt) } }],
      maxTokens: 100,
    });
    return said(`LLM response: ${JSON.stringify(result.content)}`);
  },
  test_elicitation: (ask, { message }) =>
    elicited(ask, String(message), { response: { type: 'string' } }, ['response']),
  test_elicitation_sep1034_defaults: (ask) => elicited(ask, 'Please review', defaults),
  test_elicitation_sep1330_enums: (ask) => elicited(ask, 'Please select', enums),
  test_missing_capability: () => need({ any: sample('Hello?', 10) }),
  test_streaming_elicitation: (ask) => {
    const name = typed(ask, 'user_name', 'name');
    return name === undefined ? need({ user_name: nameForm('What is your name?') }) : said(name);
  },
  test_input_required_result_elicitation: (ask) => {
    const name = typed(ask, 'user_name', 'name');
    return name === undefined
      ? need({ user_name: nameForm('What is your name?') })
      : said(`Hello, ${name}!`);
  },
  test_input_required_result_sampling: ({ context }) => {
    const view = inputResponse(context.mcpReq.inputResponses, 'capital_question');
    return view.kind === 'sampling'
      ? said(JSON.stringify(view.result.content))
      : need({ capital_question: sample('What is the capital of France?', 100) });
  },
  test_input_required_result_list_roots: ({ context }) => {
    const view = inputResponse(context.mcpReq.inputResponses, 'client_roots');
    return view.kind === 'roots'
      ? said(view.roots.map(({ uri }) => uri).join(', '))
      : need({ client_roots: inputRequired.listRoots() });
  },
  test_input_required_result_request_state: confirmed('state-ok'),
  test_input_required_result_tampered_state: confirmed('state-ok'),
  test_input_required_result_multiple_inputs: async (ask) => {
    const { inputResponses } = ask.context.mcpReq;
    const step = await stateOf(ask);
    const name = typed(ask, 'user_name', 'name');
    const greeting = inputResponse(inputResponses, 'greeting');
    const roots = inputResponse(inputResponses, 'client_roots');
    if (
      step === 1 &&
      name !== undefined &&
      greeting.kind === 'sampling' &&
      roots.kind === 'roots'
    ) {
      return said(`${name}: ${JSON.stringify(greeting.result.content)} ${roots.roots.length}`);
    }
    return need(
      {
        user_name: nameForm('What is your name?'),
        greeting: sample('Generate a greeting', 50),
        client_roots: inputRequired.listRoots(),
      },
      await codec.mint({ step: 1 }),
    );
  },
  test_input_required_result_multi_round: async (ask) => {
    const step = await stateOf(ask);
    if (step === 2 && typed(ask, 'step2', 'color') !== undefined) return said('Done.');
    if (step === 1 && typed(ask, 'step1', 'name') !== undefined) {
      const color = nameForm('Step 2: What is your favorite color?', 'color');
      return need({ step2: color }, await codec.mint({ step: 2 }));
    }
    const name = nameForm('Step 1: What is your name?');
    return need({ step1: name }, await codec.mint({ step: 1 }));
  },
  test_input_required_result_capabilities: ({ server, context }) => {
    const declared =
      (context.mcpReq.envelope as Record<string, Record<string, unknown>> | undefined)?.[
        'io.modelcontextprotocol/clientCapabilities'
      ] ?? server.getClientCapabilities();
    return need({
      ...(declared?.['elicitation'] === undefined ? {} : { name: nameForm('Your name?') }),
      ...(declared?.['sampling'] === undefined ? {} : { words: sample('Some words', 10) }),
    });
  },
};

function confirmed(word: string): FixtureTool {
  return async (ask) => {
    const step = await stateOf(ask);
    const view = inputResponse(ask.context.mcpReq.inputResponses, 'confirm');
    if (step === 1 && view.kind === 'elicit') return said(word);
    const ok = inputRequired.elicit({
      message: 'Please confirm',
      requestedSchema: {
        type: 'object',
        properties: { ok: { type: 'boolean' } },
        required: ['ok'],
      },
    });
    return need({ confirm: ok }, await codec.mint({ step: 1 }));
  };
}

const user = (text: string): GetPromptResult['messages'][number] => ({
  role: 'user',
  content: { type: 'text', text },
});

const prompts: Readonly<
  Record<string, (ask: Ask, args: Record<string, string>) => GetPromptResult | InputRequiredResult>
> = {
  test_simple_prompt: () => ({ messages: [user('This is a simple prompt for testing.')] }),
  test_prompt_with_arguments: (_, { arg1, arg2 }) => ({
    messages: [user(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  }),
  test_prompt_with_embedded_resource: (_, { resourceUri = '' }) => ({
    messages: [
      {
        role: 'user',
        content: {
          type: 'resource',
          resource: {
            uri: resourceUri,
            mimeType: 'text/plain',
            text: 'Embedded resource content.',
          },
        },
      },
      user('Please process the embedded resource above.'),
    ],
  }),
  test_prompt_with_image: () => ({
    messages: [
      { role: 'user', content: { type: 'image', data: png, mimeType: 'image/png' } },
      user('Please analyze the image above.'),
    ],
  }),
  test_input_required_result_prompt: (ask) => {
    const text = typed(ask, 'user_context', 'context');
    return text === undefined
      ? need({ user_context: nameForm('What context should the prompt use?', 'context') })
      : { messages: [user(text)] };
  },
};
const promptArguments: Readonly<Record<string, readonly string[]>> = {
  test_prompt_with_arguments: ['arg1', 'arg2'],
  test_prompt_with_embedded_resource: ['resourceUri'],
};

const templatePattern = /^test:\/\/template\/([^/]+)\/data$/;

function resource(uri: string) {
  if (uri === 'test://static-text') {
    return {
      uri,
      mimeType: 'text/plain',
      text: 'This is the content of the static text resource.',
    };
  }
  if (uri === 'test://static-binary') return { uri, mimeType: 'image/png', blob: png };
  if (uri === 'test://watched-resource') return { uri, mimeType: 'text/plain', text: 'Watched.' };
  const id = templatePattern.exec(uri)?.[1];
  if (id === undefined) return undefined;
  const text = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
  return { uri, mimeType: 'application/json', text };
}

/** The suite's names first, then the product's. */
export function withFixtures(product: Surface, notify: () => ServerNotifier): Surface {
  const triggers: Readonly<Record<string, () => void>> = {
    test_trigger_tool_change: () => notify().toolsChanged(),
    test_trigger_prompt_change: () => notify().promptsChanged(),
  };
  return {
    ...product,
    capabilities: {
      tools: { listChanged: true },
      prompts: { listChanged: true },
      resources: { listChanged: true, subscribe: true },
      logging: {},
      completions: {},
    },
    listTools: async (ask) => {
      const own = await product.listTools(ask);
      const names = [...Object.keys(tools), ...Object.keys(triggers)];
      const listed = names.map((name) => ({
        name,
        description: 'Of the conformance suite.',
        inputSchema: { type: 'object' as const },
      }));
      return { tools: [...own.tools, ...listed] };
    },
    callTool: (params, ask) => {
      const trigger = triggers[params.name];
      if (trigger !== undefined) {
        trigger();
        return said('told');
      }
      const fixture = tools[params.name];
      return fixture === undefined
        ? product.callTool(params, ask)
        : fixture(ask, params.arguments ?? {});
    },
    listResources: async (ask) => {
      const own = await product.listResources(ask);
      const uris = ['test://static-text', 'test://static-binary', 'test://watched-resource'];
      return { resources: [...own.resources, ...uris.map((uri) => ({ uri, name: uri }))] };
    },
    listTemplates: (ask) => ({
      resourceTemplates: [
        ...product.listTemplates(ask).resourceTemplates,
        { uriTemplate: 'test://template/{id}/data', name: 'template' },
      ],
    }),
    readResource: (uri, ask) => {
      const found = resource(uri);
      return found === undefined ? product.readResource(uri, ask) : { contents: [found] };
    },
    listPrompts: (ask) => ({
      prompts: [
        ...product.listPrompts(ask).prompts,
        ...Object.keys(prompts).map((name) => ({
          name,
          description: 'Of the conformance suite.',
          arguments: (promptArguments[name] ?? []).map((each) => ({ name: each, required: true })),
        })),
      ],
    }),
    getPrompt: (params, ask) => {
      const fixture = prompts[params.name];
      return fixture === undefined
        ? product.getPrompt(params, ask)
        : fixture(ask, params.arguments ?? {});
    },
    watch: () => undefined,
    complete: () => ({ completion: { values: [], total: 0, hasMore: false } }),
  };
}

/** The official AWS client against the gateway, with Bedrock, OpenAI and Anthropic behind it. */
import process from 'node:process';
import {
  AccessDeniedException,
  BedrockRuntimeClient,
  type BedrockRuntimeClientConfig,
  ConverseCommand,
  type ConverseCommandInput,
  ConverseStreamCommand,
  type ConverseStreamOutput,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  ResourceNotFoundException,
  type ResponseStream,
  ThrottlingException,
  ValidationException,
} from '@aws-sdk/client-bedrock-runtime';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import {
  converseEvents,
  eventStream,
  exceptionMessage,
  type FakeBedrock,
  invokeChunks,
  region,
  startFakeBedrock,
  staticKey,
} from '../fakes/bedrock.ts';
import {
  dataFrames,
  type ScriptedUpstream,
  sse,
  startScriptedUpstream,
} from '../fakes/scripted-upstream.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import {
  chatChunk,
  messageStart,
  streamed,
  textBlock,
  textDelta,
  whole,
} from './gateway-fixture.ts';

const claude = 'anthropic.claude-x-20260101-v1:0';
const nova = 'eu.amazon.nova-x-v1:0';
const profile = `arn:aws:bedrock:${region}:123456789012:application-inference-profile/abc123`;

let bedrock: FakeBedrock;
let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key = '';
let client: BedrockRuntimeClient;
const saved = { ...process.env };

beforeAll(async () => {
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: staticKey.id,
    AWS_SECRET_ACCESS_KEY: staticKey.secret,
  });
  bedrock = await startFakeBedrock();
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: {
        bedrock: {
          kind: 'bedrock',
          region,
          endpoint: bedrock.url,
          models: [claude, nova, profile],
        },
        oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up-a'] },
      },
      prices: { 'bedrock/**': { input: 1, output: 2, cacheRead: '0.1', cacheWrite: '1.25' } },
      identities: keysAsTags('sdk'),
    },
    policy: everyKey,
  });
  key = await gateway.key('sdk');
  client = clientWith({});
});
afterAll(async () => {
  process.env = saved;
  client.destroy();
  await gateway.stop();
  await upstream.close();
  await bedrock.close();
});
beforeEach(() => {
  upstream.forget();
});

/** As a user configures it: our address, a key as bearer token, HTTP/1.1. */
function clientWith(config: BedrockRuntimeClientConfig): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region: 'us-east-1',
    endpoint: `${gateway.url}/bedrock`,
    token: { token: key },
    authSchemePreference: ['httpBearerAuth'],
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
    ...config,
  });
}

function last() {
  const call = bedrock.calls.at(-1);
  if (call === undefined) throw new Error('bedrock was not called');
  return call;
}

const hi: ConverseCommandInput['messages'] = [{ role: 'user', content: [{ text: 'hi' }] }];
const answer = {
  metrics: { latencyMs: 12 },
  output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
  stopReason: 'end_turn',
  usage: { inputTokens: 11, outputTokens: 7, totalTokens: 18 },
};
const streamEvents = [
  ['messageStart', { role: 'assistant' }],
  ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hel' } }],
  ['contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'lo' } }],
  ['contentBlockStop', { contentBlockIndex: 0 }],
  ['messageStop', { stopReason: 'end_turn' }],
  ['metadata', { usage: answer.usage, metrics: answer.metrics }],
] as const;

async function collect(
  stream: AsyncIterable<ConverseStreamOutput> | undefined,
): Promise<{ text: string; events: ConverseStreamOutput[] }> {
  const events: ConverseStreamOutput[] = [];
  for await (const event of stream ?? []) events.push(event);
  const text = events.map((event) => event.contentBlockDelta?.delta?.text ?? '').join('');
  return { text, events };
}

describe('Bedrock in, Bedrock out', () => {
  test('a whole answer passes through; the request is signed with the role of the gateway', async () => {
    bedrock.expect({ pieces: [JSON.stringify(answer)] });
    const got = await client.send(
      new ConverseCommand({
        modelId: claude,
        messages: hi,
        inferenceConfig: { maxTokens: 64 },
        guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' },
      }),
    );
    expect(got.output?.message?.content).toEqual([{ text: 'Hello' }]);
    expect(got.usage).toMatchObject({ inputTokens: 11, outputTokens: 7 });
    expect(got.metrics?.latencyMs).toBe(12);
    expect(last()).toMatchObject({
      path: `/model/${encodeURIComponent(claude)}/converse`,
      accessKeyId: staticKey.id,
      region,
    });
    expect(JSON.parse(last().body)).toEqual({
      messages: hi,
      inferenceConfig: { maxTokens: 64 },
      guardrailConfig: { guardrailIdentifier: 'g', guardrailVersion: '1' },
    });
    expect(JSON.stringify(last().headers)).not.toContain(key);
  });

  test('a stream passes through frame by frame', async () => {
    bedrock.expect({ headers: eventStream, pieces: [converseEvents(...streamEvents)] });
    const got = await client.send(
      new ConverseStreamCommand({ modelId: `bedrock/${claude}`, messages: hi }),
    );
    const { text, events } = await collect(got.stream);
    expect(text).toBe('Hello');
    expect(events.at(-1)?.metadata?.usage?.outputTokens).toBe(7);
    expect(last().path).toBe(`/model/${encodeURIComponent(claude)}/converse-stream`);
  });

  test('the id of an inference profile holds colons and a slash', async () => {
    bedrock.expect({ pieces: [JSON.stringify(answer)] });
    await client.send(new ConverseCommand({ modelId: profile, messages: hi }));
    expect(last().path).toBe(`/model/${encodeURIComponent(profile)}/converse`);
  });

  test('invoke passes a Messages body on byte for byte, with its guardrail', async () => {
    const body =
      '{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["b-1"],"max_tokens":5, "messages":[{"role":"user","content":"hi"}],"x_new":1}';
    bedrock.expect(whole.anthropic);
    const got = await client.send(
      new InvokeModelCommand({
        modelId: claude,
        body,
        contentType: 'application/json',
        guardrailIdentifier: 'g-1',
        guardrailVersion: '2',
      }),
    );
    expect(JSON.parse(new TextDecoder().decode(got.body))).toMatchObject({
      content: [{ type: 'text', text: 'Hello' }],
    });
    expect(last().body).toBe(body);
    expect(last().headers['x-amzn-bedrock-guardrailidentifier']).toBe('g-1');
  });

  test('invoke streams its chunks', async () => {
    bedrock.expect({
      headers: eventStream,
      pieces: [
        invokeChunks(
          messageStart,
          textBlock,
          textDelta('Hello'),
          { type: 'content_block_stop', index: 0 },
          {
            type: 'message_delta',
            delta: { stop_reason: 'end_turn' },
            usage: { output_tokens: 7 },
          },
          {
            type: 'message_stop',
            'amazon-bedrock-invocationMetrics': { inputTokenCount: 11, outputTokenCount: 7 },
          },
        ),
      ],
    });
    const got = await client.send(
      new InvokeModelWithResponseStreamCommand({ modelId: claude, body: invokeBody() }),
    );
    expect(await chunkText(got.body)).toBe('Hello');
  });

  test('bodies of other vendors pass unread, whole and streamed, and are paid for', async () => {
    const body = '{"prompt":"hi", "max_gen_len":7,"temperature":0.50}';
    bedrock.expect({
      pieces: ['{"generation":"Hello","prompt_token_count":3,"generation_token_count":4}'],
    });
    await client.send(new InvokeModelCommand({ modelId: nova, body }));
    expect(last().body).toBe(body);
    bedrock.expect({
      headers: eventStream,
      pieces: [
        invokeChunks(
          { generation: 'Hel' },
          {
            generation: 'lo',
            'amazon-bedrock-invocationMetrics': { inputTokenCount: 5, outputTokenCount: 6 },
          },
        ),
      ],
    });
    const got = await client.send(
      new InvokeModelWithResponseStreamCommand({ modelId: nova, body }),
    );
    let events = 0;
    for await (const each of got.body ?? []) if (each.chunk !== undefined) events += 1;
    expect(events).toBe(2);
    const line = await gateway.logged((each) => each['input_tokens'] === 5);
    expect(line).toMatchObject({
      outcome: 'complete',
      output_tokens: 6,
      dialect: 'bedrock-invoke',
    });
  });

  test('an exception in the middle of a stream is thrown, after what came before it', async () => {
    bedrock.expect({
      headers: eventStream,
      pieces: [
        converseEvents(...streamEvents.slice(0, 2)),
        exceptionMessage('throttlingException', 'too many tokens'),
      ],
    });
    const got = await client.send(new ConverseStreamCommand({ modelId: claude, messages: hi }));
    await expect(collect(got.stream)).rejects.toBeInstanceOf(ThrottlingException);
  });

  test.each([
    ['cut off', [{ cut: true } as const]],
    ['closed without its last frames', []],
  ])('a stream that is %s is no whole answer', async (_, pieces) => {
    bedrock.expect({
      headers: eventStream,
      pieces: [converseEvents(...streamEvents.slice(0, 3)), ...pieces],
    });
    const got = await client.send(new ConverseStreamCommand({ modelId: claude, messages: hi }));
    await expect(collect(got.stream)).rejects.toThrow();
  });

  test('a frame whose checksum is wrong ends the stream with an error', async () => {
    const bytes = converseEvents(...streamEvents);
    bytes[bytes.length - 20] = (bytes[bytes.length - 20] ?? 0) ^ 1;
    bedrock.expect({ headers: eventStream, pieces: [bytes] });
    const got = await client.send(new ConverseStreamCommand({ modelId: claude, messages: hi }));
    await expect(collect(got.stream)).rejects.toThrow(/protocol/);
  });

  test('a caller that leaves cancels the call at Bedrock', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    bedrock.expect({
      headers: eventStream,
      pieces: [converseEvents(...streamEvents.slice(0, 2)), { wait: promise }],
    });
    const controller = new AbortController();
    const got = await client.send(new ConverseStreamCommand({ modelId: claude, messages: hi }), {
      abortSignal: controller.signal,
    });
    const reading = collect(got.stream).catch(() => undefined);
    controller.abort();
    client.destroy();
    await last().aborted;
    resolve();
    await reading;
    client = clientWith({});
  });
});

describe('errors', () => {
  test('are the classes that the client knows', async () => {
    bedrock.expect({
      status: 400,
      headers: { 'x-amzn-errortype': 'ValidationException:http://internal.amazon.com/' },
      pieces: ['{"message":"max_tokens is too large"}'],
    });
    const bad = client.send(new ConverseCommand({ modelId: claude, messages: hi }));
    await expect(bad).rejects.toBeInstanceOf(ValidationException);
    await expect(bad).rejects.toThrow('max_tokens is too large');
    bedrock.expect({
      status: 429,
      headers: { 'x-amzn-errortype': 'ThrottlingException' },
      pieces: ['{"message":"slow down"}'],
    });
    await expect(
      client.send(new ConverseCommand({ modelId: claude, messages: hi })),
    ).rejects.toBeInstanceOf(ThrottlingException);
    await expect(
      client.send(new ConverseCommand({ modelId: 'nobody.knows-v1:0', messages: hi })),
    ).rejects.toBeInstanceOf(ResourceNotFoundException);
    const stranger = clientWith({ token: { token: 'pst_wrong' } });
    await expect(
      stranger.send(new ConverseCommand({ modelId: claude, messages: hi })),
    ).rejects.toBeInstanceOf(AccessDeniedException);
  });

  test('a signature of the caller is no credential here', async () => {
    const signed = new BedrockRuntimeClient({
      region: 'us-east-1',
      endpoint: `${gateway.url}/bedrock`,
      credentials: { accessKeyId: staticKey.id, secretAccessKey: staticKey.secret },
      requestHandler: new NodeHttpHandler(),
      maxAttempts: 1,
    });
    await expect(
      signed.send(new ConverseCommand({ modelId: claude, messages: hi })),
    ).rejects.toBeInstanceOf(AccessDeniedException);
  });

  test('Bedrock refusing the role is never the caller’s fault', async () => {
    bedrock.identities.delete(staticKey.id);
    const got = client.send(new ConverseCommand({ modelId: claude, messages: hi }));
    await expect(got).rejects.toMatchObject({ $metadata: { httpStatusCode: 502 } });
    bedrock.identities.set(staticKey.id, { secret: staticKey.secret });
  });
});

describe('Bedrock in, others out', () => {
  const tools: ConverseCommandInput['toolConfig'] = {
    tools: [
      {
        toolSpec: {
          name: 'weather',
          inputSchema: { json: { type: 'object', properties: { city: { type: 'string' } } } },
        },
      },
    ],
  };

  test('Converse over Chat Completions: a tool is called and its result goes back', async () => {
    upstream.expect({
      pieces: [
        JSON.stringify({
          id: 'c1',
          object: 'chat.completion',
          created: 1,
          model: 'up',
          choices: [
            {
              index: 0,
              finish_reason: 'tool_calls',
              message: {
                role: 'assistant',
                content: null,
                tool_calls: [
                  {
                    id: 'call_1',
                    type: 'function',
                    function: { name: 'weather', arguments: '{"city":"Oslo"}' },
                  },
                ],
              },
            },
          ],
          usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
        }),
      ],
    });
    const got = await client.send(
      new ConverseCommand({ modelId: 'oai/up', messages: hi, toolConfig: tools }),
    );
    expect(got.stopReason).toBe('tool_use');
    expect(got.output?.message?.content).toEqual([
      { toolUse: { toolUseId: 'call_1', name: 'weather', input: { city: 'Oslo' } } },
    ]);
    upstream.expect(whole['openai-chat']);
    const said = await client.send(
      new ConverseCommand({
        modelId: 'oai/up',
        toolConfig: tools,
        messages: [
          ...(hi ?? []),
          ...(got.output?.message === undefined ? [] : [got.output.message]),
          {
            role: 'user',
            content: [{ toolResult: { toolUseId: 'call_1', content: [{ text: 'rain' }] } }],
          },
        ],
      }),
    );
    expect(said.output?.message?.content).toEqual([{ text: 'Hello' }]);
    // What the upstream received is JSON of the Chat format.
    const sent = JSON.parse(upstream.received.at(-1)?.body ?? '{}') as { messages: object[] };
    expect(sent.messages.slice(1)).toEqual([
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'call_1',
            type: 'function',
            function: { name: 'weather', arguments: '{"city":"Oslo"}' },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
    ]);
  });

  test('ConverseStream over Chat Completions, and its error in the middle', async () => {
    upstream.expect(streamed['openai-chat']);
    const got = await client.send(new ConverseStreamCommand({ modelId: 'oai/up', messages: hi }));
    const { text, events } = await collect(got.stream);
    expect(text).toBe('Hello');
    expect(events.at(-1)?.metadata?.usage).toMatchObject({ inputTokens: 11, outputTokens: 7 });
    upstream.expect({
      headers: sse,
      pieces: [
        dataFrames(chatChunk({ role: 'assistant', content: 'Hel' }), {
          error: { message: 'gone', type: 'server_error' },
        }),
      ],
    });
    const broken = await client.send(
      new ConverseStreamCommand({ modelId: 'oai/up', messages: hi }),
    );
    await expect(collect(broken.stream)).rejects.toThrow();
  });

  test('InvokeModel over Messages, whole and streamed, with its betas in the header', async () => {
    upstream.expect(whole.anthropic);
    const got = await client.send(
      new InvokeModelCommand({ modelId: 'ant/up-a', body: invokeBody() }),
    );
    expect(JSON.parse(new TextDecoder().decode(got.body))).toMatchObject({
      content: [{ type: 'text', text: 'Hello' }],
    });
    const sent = upstream.received.at(-1);
    expect(new Map(sent?.headers ?? []).get('anthropic-beta')).toBe('b-1,b-2');
    expect(JSON.parse(sent?.body ?? '{}')).not.toHaveProperty('anthropic_beta');
    upstream.expect(streamed.anthropic);
    const stream = await client.send(
      new InvokeModelWithResponseStreamCommand({ modelId: 'ant/up-a', body: invokeBody() }),
    );
    expect(await chunkText(stream.body)).toBe('Hello');
  });
});

describe('others in, Bedrock out', () => {
  async function post(path: string, body: object, headers: Record<string, string> = {}) {
    const got = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, ...headers },
      body: JSON.stringify(body),
    });
    return { status: got.status, text: await got.text() };
  }

  test('Chat Completions over ConverseStream, with an exception in the middle', async () => {
    const body = { model: nova, stream: true, messages: [{ role: 'user', content: 'hi' }] };
    bedrock.expect({ headers: eventStream, pieces: [converseEvents(...streamEvents)] });
    const good = await post('/v1/chat/completions', body);
    expect(good.text).toMatch(/data: \[DONE\]\n\n$/);
    bedrock.expect({
      headers: eventStream,
      pieces: [
        converseEvents(...streamEvents.slice(0, 3)),
        exceptionMessage('modelStreamErrorException', 'the model fell over'),
      ],
    });
    const broken = await post('/v1/chat/completions', body);
    expect(broken.text).not.toContain('[DONE]');
    expect(broken.text).not.toContain('"finish_reason":"stop"');
    expect(broken.text.trimEnd().split('\n').at(-1)).toMatch(/^data: \{"error":\{/);
  });

  test('Messages over InvokeModel of Anthropic’s models: cache markers and betas are kept', async () => {
    bedrock.expect(whole.anthropic);
    const got = await post(
      '/v1/messages',
      {
        model: claude,
        max_tokens: 9,
        system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral', ttl: '1h' } }],
        messages: [{ role: 'user', content: 'hi' }],
      },
      {
        'anthropic-version': '2023-06-01',
        'anthropic-beta': 'claude-code-20250219,interleaved-thinking-2025-05-14',
      },
    );
    expect(got.status).toBe(200);
    expect(last().path).toBe(`/model/${encodeURIComponent(claude)}/invoke`);
    expect(JSON.parse(last().body)).toMatchObject({
      anthropic_version: 'bedrock-2023-05-31',
      anthropic_beta: ['interleaved-thinking-2025-05-14'],
      system: [{ type: 'text', text: 's', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    });
  });

  test('Messages over InvokeModel as a stream', async () => {
    bedrock.expect({
      headers: eventStream,
      pieces: [
        invokeChunks(
          messageStart,
          textBlock,
          textDelta('Hello'),
          { type: 'content_block_stop', index: 0 },
          {
            type: 'message_delta',
            delta: { stop_reason: 'end_turn' },
            usage: { output_tokens: 7 },
          },
          { type: 'message_stop' },
        ),
      ],
    });
    const got = await post('/v1/messages', {
      model: claude,
      max_tokens: 9,
      stream: true,
      messages: [{ role: 'user', content: 'hi' }],
    });
    expect(got.text).toContain('"text":"Hello"');
    expect(got.text).toMatch(/event: message_stop\n/);
  });
});

function invokeBody(): string {
  return JSON.stringify({
    anthropic_version: 'bedrock-2023-05-31',
    anthropic_beta: ['b-1', 'b-2'],
    max_tokens: 5,
    messages: [{ role: 'user', content: 'hi' }],
  });
}

async function chunkText(body: AsyncIterable<ResponseStream> | undefined): Promise<string> {
  let text = '';
  for await (const { chunk } of body ?? []) {
    const event = JSON.parse(new TextDecoder().decode(chunk?.bytes)) as {
      readonly delta?: { readonly text?: string };
    };
    text += event.delta?.text ?? '';
  }
  return text;
}

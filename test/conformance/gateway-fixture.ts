/** What the tests of the gateway over the wire share: requests and answers in every format, and a client that sees how an answer ends. */
import http from 'node:http';
import { dataFrames, type Script, sse, typedFrames } from '../fakes/scripted-upstream.ts';
import type { TestGateway } from './gateway.ts';

export type InFormat = 'openai-chat' | 'openai-completions' | 'anthropic-messages' | 'ask';

/** The four routes that a model answers, and a request to each. */
export const routes: Readonly<
  Record<
    InFormat,
    { readonly path: string; body(model: string, stream: boolean): Record<string, unknown> }
  >
> = {
  'openai-chat': {
    path: '/v1/chat/completions',
    body: (model, stream) => ({ model, messages: [{ role: 'user', content: 'hi' }], stream }),
  },
  'openai-completions': {
    path: '/v1/completions',
    body: (model, stream) => ({ model, prompt: 'hi', stream }),
  },
  'anthropic-messages': {
    path: '/v1/messages',
    body: (model, stream) => ({
      model,
      max_tokens: 64,
      messages: [{ role: 'user', content: 'hi' }],
      stream,
    }),
  },
  ask: { path: '/ask', body: (model, stream) => ({ model, prompt: 'hi', stream }) },
};

export const inFormats: readonly InFormat[] = [
  'openai-chat',
  'openai-completions',
  'anthropic-messages',
  'ask',
];

export function chatChunk(delta: object, finish: string | null = null): object {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1_700_000_000,
    model: 'up',
    choices: [{ index: 0, delta, finish_reason: finish }],
  };
}

export function completionChunk(text: string, finish: string | null = null): object {
  return {
    id: 'cmpl-1',
    object: 'text_completion',
    created: 1_700_000_000,
    model: 'up',
    choices: [{ index: 0, text, finish_reason: finish, logprobs: null }],
  };
}

const openaiUsage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
const anthropicUsage = { input_tokens: 11, output_tokens: 7 };

export const messageStart = {
  type: 'message_start',
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'up',
    content: [],
    stop_reason: null,
    stop_sequence: null,
    usage: { input_tokens: 11, output_tokens: 1 },
  },
};
export const textBlock = {
  type: 'content_block_start',
  index: 0,
  content_block: { type: 'text', text: '' },
};
export function textDelta(text: string): { type: string; index: number; delta: object } {
  return { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } };
}

/** An upstream's answer: it says "Hello", for 11 tokens in and 7 out. */
export const whole: Readonly<Record<'openai-chat' | 'openai-completions' | 'anthropic', Script>> = {
  'openai-chat': {
    pieces: [
      JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1_700_000_000,
        model: 'up',
        choices: [
          { index: 0, message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' },
        ],
        usage: openaiUsage,
      }),
    ],
  },
  'openai-completions': {
    pieces: [
      JSON.stringify({
        id: 'cmpl-1',
        object: 'text_completion',
        created: 1_700_000_000,
        model: 'up',
        choices: [{ index: 0, text: 'Hello', finish_reason: 'stop', logprobs: null }],
        usage: openaiUsage,
      }),
    ],
  },
  anthropic: {
    pieces: [
      JSON.stringify({
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'up',
        content: [{ type: 'text', text: 'Hello' }],
        stop_reason: 'end_turn',
        stop_sequence: null,
        usage: anthropicUsage,
      }),
    ],
  },
};

export const streamed: typeof whole = {
  'openai-chat': {
    headers: sse,
    pieces: [
      dataFrames(chatChunk({ role: 'assistant', content: 'Hel' })),
      dataFrames(
        chatChunk({ content: 'lo' }),
        chatChunk({}, 'stop'),
        { ...chatChunk({}), choices: [], usage: openaiUsage },
        '[DONE]',
      ),
    ],
  },
  'openai-completions': {
    headers: sse,
    pieces: [
      dataFrames(completionChunk('Hel')),
      dataFrames(
        completionChunk('lo', 'stop'),
        { ...completionChunk(''), choices: [], usage: openaiUsage },
        '[DONE]',
      ),
    ],
  },
  anthropic: {
    headers: sse,
    pieces: [
      typedFrames(messageStart, textBlock, textDelta('Hel')),
      typedFrames(
        textDelta('lo'),
        { type: 'content_block_stop', index: 0 },
        {
          type: 'message_delta',
          delta: { stop_reason: 'end_turn', stop_sequence: null },
          usage: { output_tokens: 7 },
        },
        { type: 'message_stop' },
      ),
    ],
  },
};

/** The first piece that a script writes. */
export function firstOf(script: Script): string {
  const [piece] = script.pieces;
  return typeof piece === 'string' ? piece : '';
}

export interface Call {
  readonly path: string;
  readonly method?: string;
  readonly key?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes as it is, other values as JSON. */
  readonly body?: unknown;
  /** The test itself writes the body, or leaves it open. */
  readonly isOpen?: boolean;
}

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** Whether HTTP says that the body is all there. */
  readonly isWhole: boolean;
}

/** A request on a connection of its own; `response` resolves with the head. */
export interface OpenCall {
  readonly request: http.ClientRequest;
  readonly response: Promise<http.IncomingMessage>;
  /** Reads the body to its end; nothing of it is read before. */
  readonly answer: () => Promise<Answer>;
}

export function openCall(gateway: TestGateway, call: Call): OpenCall {
  const body =
    call.body === undefined || typeof call.body === 'string'
      ? call.body
      : JSON.stringify(call.body);
  const request = http.request(`${gateway.url}${call.path}`, {
    method: call.method ?? 'POST',
    agent: false,
    headers: {
      'content-type': 'application/json',
      ...(call.key === undefined ? {} : { authorization: `Bearer ${call.key}` }),
      ...(body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
      ...call.headers,
    },
  });
  const response = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on('response', resolve).on('error', reject);
  });
  response.catch(() => undefined);
  if (call.isOpen === true) request.flushHeaders();
  else if (body === undefined) request.end();
  else request.end(body);
  return { request, response, answer: () => response.then(readAnswer) };
}

export function call(gateway: TestGateway, each: Call): Promise<Answer> {
  return openCall(gateway, each).answer();
}

function readAnswer(message: http.IncomingMessage): Promise<Answer> {
  return new Promise((resolve) => {
    let text = '';
    message.setEncoding('utf8');
    message.on('data', (piece: string) => {
      text += piece;
    });
    message.on('error', () => undefined);
    message.on('close', () => {
      resolve({
        status: message.statusCode ?? 0,
        headers: message.headers,
        text,
        isWhole: message.complete,
      });
    });
  });
}

/** The words of an answer, whatever its format. */
export function saidIn(format: InFormat, stream: boolean, text: string): string {
  if (!stream) return wordsOf(format, JSON.parse(text));
  return text
    .split('\n')
    .filter((line) => line.startsWith('data: ') && line !== 'data: [DONE]')
    .map((line) => wordsOf(format, JSON.parse(line.slice('data: '.length))))
    .join('');
}

function wordsOf(format: InFormat, value: unknown): string {
  const found = JSON.stringify(value, keysOf[format]);
  return [...found.matchAll(/"(?:content|text|delta|answer)":"((?:[^"\\]|\\.)*)"/g)]
    .map(([, said]) => said ?? '')
    .join('');
}

/** Where each format keeps the words of the model. */
const keysOf: Readonly<Record<InFormat, string[]>> = {
  'openai-chat': ['choices', 'message', 'delta', 'content'],
  'openai-completions': ['choices', 'text'],
  'anthropic-messages': ['content', 'delta', 'text'],
  ask: ['delta', 'answer'],
};

/** How each format shows that a stream is whole. */
export const cleanEnd: Readonly<Record<InFormat, RegExp>> = {
  'openai-chat': /data: \[DONE\]\n\n$/,
  'openai-completions': /data: \[DONE\]\n\n$/,
  'anthropic-messages': /event: message_stop\ndata: .*\n\n$/,
  ask: /data: \{.*"latency_ms".*\}\n\n$/,
};

/** The error of an answer or of its last frame, if it has the shape that its format asks for. */
export function errorIn(
  format: InFormat,
  text: string,
): { readonly type: unknown; readonly message: unknown; readonly code?: unknown } | undefined {
  const line = text.trimEnd().split('\n').at(-1) ?? '';
  const body: unknown = JSON.parse(line.replace(/^data: /, ''));
  if (typeof body !== 'object' || body === null || !('error' in body)) return undefined;
  const { error } = body;
  if (typeof error !== 'object' || error === null) return undefined;
  if (!('type' in error) || !('message' in error)) return undefined;
  if (format === 'anthropic-messages') {
    const isEnvelope = 'type' in body && body.type === 'error' && 'request_id' in body;
    return isEnvelope ? { type: error.type, message: error.message } : undefined;
  }
  if (!('code' in error) || !('param' in error)) return undefined;
  return { type: error.type, message: error.message, code: error.code };
}

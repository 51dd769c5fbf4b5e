/**
 * Every way in which a model server fails, in every format, whole and streamed: the caller sees what happened, in time,
 * and the breaker shows it. The server is bytes on a socket; the name of the model says what it does.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { everyKey, keysAsTags, startGateway, type TestGateway, waitFor } from './gateway.ts';
import {
  type Answer,
  call,
  cleanEnd,
  errorIn,
  firstOf,
  type InFormat,
  inFormats,
  openCall,
  routes,
  saidIn,
  streamed,
  whole,
} from './gateway-fixture.ts';

type Out = 'chat' | 'ant';

/** What the server says to one request, given what a good answer would be. */
type Fault = (socket: Socket, good: Good) => void;

interface Good {
  readonly isStream: boolean;
  readonly text: string;
  /** A part of it, with a word of the model where it is a stream. */
  readonly part: string;
}

const head = (isStream: boolean, more = ''): string =>
  `HTTP/1.1 200 OK\r\ncontent-type: ${isStream ? 'text/event-stream' : 'application/json'}\r\n${more}`;
const chunked = 'transfer-encoding: chunked\r\n\r\n';
const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
const status = (code: number, headers = ''): string =>
  `HTTP/1.1 ${code} X\r\ncontent-type: application/json\r\n${headers}content-length: 2\r\n\r\n{}`;

const faults: Readonly<Record<string, Fault>> = {
  good: (socket, { isStream, text }) =>
    socket.write(`${head(isStream, chunked)}${chunk(text)}0\r\n\r\n`),
  'dies-before': (socket) => socket.resetAndDestroy(),
  'closes-before': (socket) => socket.end(),
  'half-head': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-'),
  'dies-mid': (socket, { isStream, part }) => {
    socket.write(`${head(isStream, chunked)}${chunk(part)}`, () => {
      setTimeout(() => socket.destroy(), 20);
    });
  },
  hangs: () => undefined,
  'hangs-mid': (socket, { isStream, part }) =>
    socket.write(`${head(isStream, chunked)}${chunk(part)}`),
  'promises-more': (socket, { isStream, text, part }) =>
    socket.end(`${head(isStream, `content-length: ${text.length + 100}\r\n\r\n`)}${part}`),
  'sends-more': (socket, { isStream, text, part }) =>
    socket.write(`${head(isStream, `content-length: ${part.length}\r\n\r\n`)}${text}`),
  'two-lengths': (socket, { isStream, text }) =>
    socket.write(`${head(isStream, 'content-length: 3\r\ncontent-length: 4\r\n\r\n')}${text}`),
  'limits-callers': (socket) => socket.write(status(429, 'retry-after: 30\r\n')),
  'limits-until': (socket) =>
    socket.write(status(429, `retry-after: ${new Date(Date.now() + 90_000).toUTCString()}\r\n`)),
  'answers-500': (socket) => socket.write(status(500)),
  'answers-529': (socket) => socket.write(status(529, 'retry-after: 7\r\n')),
};

const servers: Server[] = [];
/** Requests that arrived, by model. */
const arrived: string[] = [];

function serve(socket: Socket): void {
  let text = '';
  socket.on('error', () => undefined);
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
    if (end === -1 || text.length < end + 4 + length) return;
    const request = text;
    text = '';
    const model = /"model":\s*"([^"]+)"/.exec(request)?.[1] ?? '';
    const isStream = /"stream":\s*true/.test(request);
    const out = request.startsWith('POST /v1/messages') ? 'anthropic' : 'openai-chat';
    const script = (isStream ? streamed : whole)[out];
    arrived.push(model);
    const good = {
      isStream,
      text: script.pieces.filter((piece) => typeof piece === 'string').join(''),
      part: isStream ? firstOf(script) : firstOf(script).slice(0, 40),
    };
    (faults[model.split('.')[0] ?? ''] ?? faults['good'])?.(socket, good);
  });
}

async function listening(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket);
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

let gateway: TestGateway;
let key: string;

const timeouts = { connectMs: 400, firstByteMs: 1_000, idleMs: 1_000, totalMs: 5_000 };
/** The longest of these times, and what a loaded machine needs. */
const lateMs = 3_500;
const breaker = { failures: 1, openMs: 60_000, openMsMax: 60_000 };
const common = { models: ['*'], timeouts, breaker, retry: { times: 0 } };

beforeAll(async () => {
  const raw = await listening(serve);
  const deadTls = await listening((socket) => {
    socket.on('error', () => undefined).once('data', () => socket.resetAndDestroy());
  });
  const silentTls = await listening((socket) => socket.on('error', () => undefined));
  const closed = await listening(() => undefined);
  servers.pop()?.close();
  const chat = (url: string) => ({
    kind: 'openai',
    api: ['chat'],
    baseUrl: `${url}/v1`,
    ...common,
  });
  const ant = (url: string) => ({ kind: 'anthropic', baseUrl: url, ...common });
  const both = (name: string, url: string) => ({
    [`${name}-chat`]: chat(url),
    [`${name}-ant`]: ant(url),
  });
  gateway = await startGateway({
    config: {
      providers: {
        ...both('raw', `http://127.0.0.1:${raw}`),
        ...both('dead-tls', `https://127.0.0.1:${deadTls}`),
        ...both('silent-tls', `https://127.0.0.1:${silentTls}`),
        ...both('closed', `http://127.0.0.1:${closed}`),
      },
      identities: keysAsTags(),
    },
    policy: everyKey,
  });
  key = await gateway.key('faults');
});
afterAll(async () => {
  await gateway.stop();
  for (const server of servers) server.close();
});

interface Combination {
  readonly format: InFormat;
  readonly stream: boolean;
  readonly out: Out;
}

const combinations: readonly Combination[] = inFormats.flatMap((format) =>
  [false, true].flatMap((stream) =>
    (['chat', 'ant'] as const).map((out) => ({ format, stream, out })),
  ),
);

/** Half of them, with both kinds of provider: what hangs takes a second each time. */
const patient = combinations.filter((_, index) => [0, 3].includes(index % 4));

interface Place {
  readonly state: string;
  readonly breakers: readonly { readonly model: string; readonly state: string }[];
}

async function breakersOf(provider: string): Promise<Place['breakers']> {
  const { body } = await gateway.control('GET', '/api/v1/runtime');
  // The view of the runtime lists providers with their places.
  const providers = body['providers'] as {
    readonly id: string;
    readonly places: readonly Place[];
  }[];
  return (
    providers.find(({ id }) => id === provider)?.places.flatMap(({ breakers }) => breakers) ?? []
  );
}

const anthropicTypes: Readonly<Record<string, string>> = {
  upstream_rate_limited: 'rate_limit_error',
  upstream_overloaded: 'overloaded_error',
};

function expectError(answer: Answer, format: InFormat, code: string): void {
  const error = errorIn(format, answer.text);
  if (format === 'anthropic-messages')
    expect(error?.type).toBe(anthropicTypes[code] ?? 'api_error');
  else expect(error?.code).toBe(code);
}

interface Row {
  readonly fault: string;
  readonly provider?: string;
  readonly code: string;
  readonly status: number;
  /** A stream has begun when it happens: its error is an event. */
  readonly inStream?: boolean;
  readonly retryAfter?: RegExp;
  readonly opens: boolean;
}

const rows: readonly Row[] = [
  { fault: 'dies-before', code: 'upstream_error', status: 502, opens: true },
  { fault: 'closes-before', code: 'upstream_error', status: 502, opens: true },
  { fault: 'half-head', code: 'upstream_error', status: 502, opens: true },
  { fault: 'dies-mid', code: 'upstream_error', status: 502, inStream: true, opens: true },
  { fault: 'hangs', code: 'upstream_timeout', status: 504, opens: true },
  { fault: 'hangs-mid', code: 'upstream_timeout', status: 504, inStream: true, opens: true },
  { fault: 'promises-more', code: 'upstream_error', status: 502, inStream: true, opens: true },
  { fault: 'sends-more', code: 'upstream_error', status: 502, inStream: true, opens: true },
  { fault: 'two-lengths', code: 'upstream_error', status: 502, opens: true },
  {
    fault: 'limits-callers',
    code: 'upstream_rate_limited',
    status: 429,
    retryAfter: /^30$/,
    opens: false,
  },
  {
    fault: 'limits-until',
    code: 'upstream_rate_limited',
    status: 429,
    retryAfter: /^(?:8\d|90)$/,
    opens: false,
  },
  { fault: 'answers-500', code: 'upstream_error', status: 502, opens: true },
  {
    fault: 'answers-529',
    code: 'upstream_overloaded',
    status: 503,
    retryAfter: /^7$/,
    opens: true,
  },
  {
    fault: 'dies-in-handshake',
    provider: 'dead-tls',
    code: 'upstream_unavailable',
    status: 502,
    opens: true,
  },
  {
    fault: 'hangs-in-handshake',
    provider: 'silent-tls',
    code: 'upstream_unavailable',
    status: 502,
    opens: true,
  },
  {
    fault: 'is-not-there',
    provider: 'closed',
    code: 'upstream_unavailable',
    status: 502,
    opens: true,
  },
];

describe.each(rows)('a model server that $fault', (row) => {
  test.each(row.fault.startsWith('hangs') ? patient : combinations)(
    '$format, streamed $stream, over $out',
    { concurrent: true },
    async ({ format, stream, out }) => {
      const provider = `${row.provider ?? 'raw'}-${out}`;
      const name = `${row.fault}.${format}.${stream}.${out}`;
      const ask = (): Promise<Answer> =>
        call(gateway, {
          path: routes[format].path,
          key,
          body: routes[format].body(`${provider}/${name}`, stream),
        });
      const startedAt = performance.now();
      const first = await ask();
      expect(performance.now() - startedAt).toBeLessThan(lateMs);
      if (stream && row.inStream === true) {
        expect(first.status).toBe(200);
        expect(first.text).not.toMatch(cleanEnd[format]);
      } else expect(first.status).toBe(row.status);
      expectError(first, format, row.code);
      if (row.retryAfter !== undefined)
        expect(first.headers['retry-after']).toMatch(row.retryAfter);

      const seen = arrived.filter((model) => model === name).length;
      const shown = await breakersOf(provider);
      const askedAt = performance.now();
      const second = await ask();
      if (!row.opens) {
        expect(shown).not.toContainEqual({ model: name, state: 'open' });
        expect(second.status).toBe(row.status);
        return;
      }
      // Once the breaker is open, nobody waits for this server, and it is not asked.
      expect(shown).toContainEqual({ model: name, state: 'open' });
      expect(performance.now() - askedAt).toBeLessThan(1_000);
      expect(second.status).toBe(502);
      expect(Number(second.headers['retry-after'])).toBeGreaterThan(50);
      expectError(second, format, 'upstream_unavailable');
      expect(arrived.filter((model) => model === name)).toHaveLength(seen);
    },
  );
});

test.each(combinations)(
  'a good one stays good ($format, $stream, $out)',
  async ({ format, stream, out }) => {
    const model = `raw-${out}/good.${format}`;
    const answer = await call(gateway, {
      path: routes[format].path,
      key,
      body: routes[format].body(model, stream),
    });
    expect(saidIn(format, stream, answer.text)).toBe('Hello');
  },
);

describe('a model server that dies while others wait for it', () => {
  test.each([false, true])('is told to each of them (streamed %j)', async (stream) => {
    const open = new Set<Socket>();
    const port = await listening((socket) => {
      open.add(socket);
      socket.on('error', () => undefined);
    });
    const server = servers.pop();
    const one = await startGateway({
      config: {
        providers: {
          gpu: {
            kind: 'openai',
            api: ['chat'],
            baseUrl: `http://127.0.0.1:${port}/v1`,
            ...common,
            breaker: { ...breaker, failures: 2 },
            maxConcurrent: 1,
            models: ['up'],
          },
        },
        identities: keysAsTags(),
      },
      policy: everyKey,
    });
    try {
      const own = await one.key('waits');
      const body = routes['openai-chat'].body('gpu/up', stream);
      const calls = [1, 2, 3].map(() =>
        openCall(one, { path: '/v1/chat/completions', key: own, body }).answer(),
      );
      await waitFor(() => (open.size === 1 ? true : undefined));
      const queued = async (): Promise<unknown> => {
        const { body: runtime } = await one.control('GET', '/api/v1/runtime');
        return JSON.stringify(runtime).includes('"in_flight":1,"queued":2');
      };
      await expect.poll(queued).toBe(true);
      server?.close();
      for (const socket of open) socket.resetAndDestroy();
      const answers = await Promise.all(calls);
      // The first was cut, the second found nobody, and that was enough for the third.
      expect(answers.map(({ status: code }) => code)).toEqual([502, 502, 502]);
      expect(answers.map(({ text }) => errorIn('openai-chat', text)?.code)).toEqual([
        'upstream_error',
        'upstream_unavailable',
        'upstream_unavailable',
      ]);
      expect(answers[2]?.headers['retry-after']).toBeDefined();
      const models = await call(one, { path: '/v1/models', method: 'GET', key: own });
      expect(JSON.parse(models.text)).toMatchObject({
        data: [{ id: 'gpu/up', state: 'open' }, {}],
      });
    } finally {
      await one.stop();
    }
  });
});

test('nothing was said of a defect in all of this', () => {
  expect(gateway.log.filter((line) => line['msg'] === 'fault')).toEqual([]);
});

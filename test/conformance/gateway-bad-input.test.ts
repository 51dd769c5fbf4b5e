/** Bad requests, on every route, in every format: refused quickly, in the route's own words, and never passed on. */
import { gatewayRoutes } from '@postern/server/gateway';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ScriptedUpstream, startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { granting, keysAsTags, startGateway, type TestGateway } from './gateway.ts';
import {
  type Answer,
  call,
  errorIn,
  type InFormat,
  inFormats,
  openCall,
  routes,
} from './gateway-fixture.ts';

let upstream: ScriptedUpstream;
let gateway: TestGateway;
let key: string;
let lists = 0;

const bodyBytes = 524_288;
const answerMsMax = 1_500;

beforeAll(async () => {
  upstream = await startScriptedUpstream();
  gateway = await startGateway({
    config: {
      providers: {
        oai: { kind: 'openai', baseUrl: `${upstream.url}/v1`, models: ['up'] },
        ant: { kind: 'anthropic', baseUrl: upstream.url, models: ['up'] },
      },
      identities: keysAsTags('caller'),
      limits: { bodyBytes, bodyPauseMs: 100 },
    },
    policy: granting({ 'tag:caller': { models: ['**'], maxOutputTokens: 1_000 } }),
  });
  key = await gateway.key('caller');
  lists = upstream.connections.total;
});
afterAll(async () => {
  // Not one of all these requests reached a provider.
  expect(upstream.connections.total).toBe(lists);
  await gateway.stop();
  await upstream.close();
});

/** The type that each envelope gives to a mistake of the caller. */
function expectRefusal(format: InFormat, answer: Answer, status: number, code?: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toBe('application/json');
  expect(answer.headers['x-request-id']).toBe(answer.headers['request-id']);
  expect(answer.headers['x-should-retry']).toBe('false');
  const error = errorIn(format, answer.text);
  expect(error?.message).toEqual(expect.stringMatching(/./));
  if (format !== 'anthropic-messages' && code !== undefined) expect(error?.code).toBe(code);
  if (format === 'anthropic-messages') expect(error?.type).toEqual(anthropicTypes[status]);
}

const anthropicTypes: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  405: 'invalid_request_error',
  408: 'invalid_request_error',
  413: 'request_too_large',
  415: 'invalid_request_error',
};

async function quick(run: () => Promise<Answer>): Promise<Answer> {
  const startedAt = performance.now();
  const answer = await run();
  expect(performance.now() - startedAt).toBeLessThan(answerMsMax);
  return answer;
}

const text = (format: InFormat): string => JSON.stringify(routes[format].body('oai/up', false));
/** The body of a format with one more member at its end. */
const plus = (format: InFormat, member: string): string =>
  `${text(format).slice(0, -1)},${member}}`;

const badBodies: readonly (readonly [string, (format: InFormat) => string])[] = [
  ['an empty body', () => ''],
  ['white space', () => ' \n\t '],
  ['a truncated object', (format) => text(format).slice(0, -5)],
  ['text after the object', (format) => `${text(format)}x`],
  ['two objects', (format) => text(format).repeat(2)],
  ['a byte order mark', (format) => `\uFEFF${text(format)}`],
  ['an array', (format) => `[${text(format)}]`],
  ['a string', () => '"hi"'],
  ['a number', () => '1'],
  ['null', () => 'null'],
  ['200,000 open brackets', () => '['.repeat(200_000)],
  ['200,000 open objects', () => '{"a":'.repeat(100_000)],
  [
    '200,000 nested arrays in a field',
    (format) => plus(format, `"x":${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  ],
  ['a key twice', (format) => plus(format, '"model":"ant/up"')],
  ['a key twice, once escaped', (format) => plus(format, '"\\u006dodel":"ant/up"')],
  ['a key twice in a nested object', (format) => plus(format, '"x":{"a":1,"a":2}')],
  ['a number that no number holds', (format) => plus(format, '"x":1e999')],
  ['a single quote', (format) => text(format).replaceAll('"', "'")],
  ['a comment', (format) => `/* */${text(format)}`],
  ['a trailing comma', (format) => text(format).replace(/\}$/, ',}')],
  ['a control character in a string', (format) => plus(format, '"x":"\n"')],
  ['NaN', (format) => plus(format, '"x":NaN')],
];

const badFields: readonly (readonly [string, (format: InFormat) => object])[] = [
  ['a model that is a number', () => ({ model: 5 })],
  ['a model that is an object', () => ({ model: { id: 'oai/up' } })],
  ['a model name that is far too long', () => ({ model: 'm'.repeat(100_000) })],
  ['a stream that is a string', () => ({ stream: 'yes' })],
  [
    'a prompt that is a number',
    (format) =>
      format === 'openai-completions' || format === 'ask' ? { prompt: 5 } : { messages: 5 },
  ],
  [
    'nothing to answer',
    (format) =>
      format === 'openai-completions' || format === 'ask'
        ? { prompt: undefined }
        : { messages: undefined },
  ],
];

describe.each(inFormats)('%s', (format) => {
  const { path } = routes[format];
  const send = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    quick(() => call(gateway, { path, key, body, headers }));

  test.each(badBodies)('refuses %s as bad JSON', async (_, make) => {
    expectRefusal(format, await send(make(format)), 400, 'invalid_json');
  });

  test.each(badFields)('refuses %s', async (_, make) => {
    const answer = await send({ ...routes[format].body('oai/up', false), ...make(format) });
    expectRefusal(format, answer, 400);
    expect(answer.text.length).toBeLessThan(2_000);
  });

  test('refuses bytes that are no UTF-8', async () => {
    const body = Buffer.from(plus(format, '"x":"\u00ff"'), 'latin1');
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body,
    });
    expect(response.status).toBe(400);
    expect(errorIn(format, await response.text())).toBeDefined();
  });

  test('refuses an unknown model as a model that is not there', async () => {
    for (const model of ['oai/other', 'nobody/up', 'other', '', '__proto__', 'ant/up/../up']) {
      const answer = await send(routes[format].body(model, false));
      expectRefusal(format, answer, 404, 'model_not_found');
    }
  });

  test('refuses more output than the rule allows', async () => {
    const answer = await send({ ...routes[format].body('oai/up', false), max_tokens: 1_001 });
    if (format === 'ask') expect(answer.status).toBeGreaterThanOrEqual(400);
    else expectRefusal(format, answer, 400, 'output_limit_exceeded');
  });

  test('refuses a body above the limit by its length before it arrives', async () => {
    const { answer, request } = openCall(gateway, {
      path,
      key,
      isOpen: true,
      headers: { 'content-length': String(bodyBytes + 1), expect: '100-continue' },
    });
    request.on('error', () => undefined);
    expectRefusal(format, await quick(answer), 413, 'body_too_large');
  });

  test('refuses a body above the limit that came in chunks', async () => {
    const answer = await quick(() =>
      sendPieces(
        path,
        Array.from({ length: 12 }, () => ' '.repeat(65_536)),
      ),
    );
    expectRefusal(format, answer, 413, 'body_too_large');
  });

  test('refuses a body that pauses for too long', async () => {
    const answer = await quick(() => sendPieces(path, [text(format).slice(0, 10), 'pause']));
    expectRefusal(format, answer, 408, 'request_timeout');
  });

  test.each(['gzip', 'deflate', 'br', 'x-made-up', 'gzip, identity'])(
    'refuses a body with the content encoding %s',
    async (encoding) => {
      const answer = await send(text(format), { 'content-encoding': encoding });
      expectRefusal(format, answer, 415, 'unsupported_encoding');
    },
  );

  test('takes JSON whatever its content type says, so a bad field is what it refuses', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'nonsense']) {
      const answer = await send({ model: 5 }, { 'content-type': type });
      expectRefusal(format, answer, 400);
    }
  });

  test('refuses who is not known before the body is looked at', async () => {
    const answer = await quick(() => call(gateway, { path, body: '{' }));
    expectRefusal(format, answer, 401);
    const wrong = await quick(() => call(gateway, { path, key: 'pst_wrong', body: '{' }));
    expectRefusal(format, wrong, 401, 'invalid_api_key');
  });

  test('refuses who is known and has no grant, the same for every model', async () => {
    const other = await gateway.key(`stranger-${format}`);
    const texts = new Set<string>();
    for (const model of ['oai/up', 'oai/other']) {
      const body = routes[format].body(model, false);
      const answer = await call(gateway, { path, key: other, body });
      expectRefusal(format, answer, 403, 'access_denied');
      texts.add(answer.text.replace(String(answer.headers['x-request-id']), ''));
    }
    expect(texts.size).toBe(1);
  });

  test('leaves one log line for a refusal, with its code and no word of the body', async () => {
    const answer = await send('{"secret-canary":');
    const id = answer.headers['x-request-id'];
    const line = await gateway.logged((each) => each['request_id'] === id);
    expect(line).toMatchObject({ outcome: 'refused', error: 'invalid_json', status: 400 });
    expect(gateway.log.filter((each) => each['request_id'] === id)).toHaveLength(1);
    expect(JSON.stringify(gateway.log)).not.toContain('secret-canary');
  });
});

function sendPieces(path: string, pieces: readonly string[]): Promise<Answer> {
  const { request, answer } = openCall(gateway, {
    path,
    key,
    isOpen: true,
    headers: { 'transfer-encoding': 'chunked', expect: '100-continue' },
  });
  // The gateway closes while we still write: what it said before that is what counts.
  request.on('error', () => undefined);
  request.on('continue', () => {
    for (const piece of pieces) if (piece !== 'pause') request.write(piece);
  });
  return answer();
}

describe('wrong methods', () => {
  const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];
  const cases = gatewayRoutes.flatMap(({ method, path }) => {
    const own = method === 'GET' ? ['GET', 'HEAD'] : [method];
    return methods
      .filter((each) => !own.includes(each))
      .map((each) => [each, path.replace('{id}', 'up'), method] as const);
  });

  test.each(cases)(
    '%s %s is refused, and the answer names the right one',
    async (method, path, allow) => {
      const answer = await call(gateway, { path, method, key });
      expect(answer.status).toBe(405);
      expect(answer.headers['allow']).toBe(allow);
      if (method === 'HEAD') return;
      if (path.startsWith('/bedrock/')) {
        expect(JSON.parse(answer.text)).toEqual({ message: expect.stringContaining(allow) });
        expect(answer.headers['x-amzn-errortype']).toBe('ValidationException');
        return;
      }
      const format = path.startsWith('/v1/messages') ? 'anthropic-messages' : 'openai-chat';
      expect(errorIn(format, answer.text)?.message).toEqual(expect.stringContaining(allow));
    },
  );

  test('an unknown route and a wrong method leave a log line like any refusal', async () => {
    for (const [path, status] of [
      ['/v1/none', 404],
      ['/whoami', 405],
    ] as const) {
      const answer = await call(gateway, { path, key });
      const line = await gateway.logged(
        (each) => each['request_id'] === answer.headers['x-request-id'],
      );
      expect(line).toMatchObject({ outcome: 'refused', status });
    }
  });
});

describe('a second model in the body', () => {
  const advisor = { type: 'advisor_20260301', name: 'advisor', model: 'other' };
  test.each<[InFormat, string, object, string]>([
    ['openai-chat', 'oai/up', { models: ['other'], route: 'fallback' }, 'models'],
    ['openai-chat', 'ant/up', { models: ['other'] }, 'models'],
    ['openai-completions', 'oai/up', { fallbacks: ['other'] }, 'fallbacks'],
    ['anthropic-messages', 'ant/up', { fallbacks: [{ model: 'other' }] }, 'fallbacks'],
    ['anthropic-messages', 'ant/up', { tools: [advisor] }, 'tools.advisor.model'],
  ])('%s to %s: %j', async (format, model, more, param) => {
    const { path, body } = routes[format];
    const answer = await quick(() =>
      call(gateway, { path, key, body: { ...body(model, false), ...more } }),
    );
    expectRefusal(format, answer, 400, 'unsupported_parameter');
    expect(errorIn(format, answer.text)?.message).toContain(`${param}: a request names one model`);
  });
});

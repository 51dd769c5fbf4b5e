import { ok, Secret } from '@postern/core/base';
import { dialectNamed } from '@postern/core/dialect';
import { createEgress } from '@postern/server/adapters/egress-socket';
import { createBuiltinProvider } from '@postern/server/adapters/provider-builtin';
import {
  anthropicKind,
  createHttpProvider,
  type HttpProviderOptions,
  openaiKind,
} from '@postern/server/adapters/provider-http';
import type { Provider } from '@postern/server/gateway';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFakeProvider, FakeAnswer } from '../fakes/provider.ts';
import {
  type Script,
  type ScriptedUpstream,
  startScriptedUpstream,
} from '../fakes/scripted-upstream.ts';
import { timeouts, upstream as rawUpstream } from './egress-fixture.ts';
import { firstOf, streamed, whole } from './gateway-fixture.ts';
import { describeProvider, type ProviderSubject } from './gateway-provider-suite.ts';

let upstream: ScriptedUpstream;
const exits = createEgress();

beforeAll(async () => {
  upstream = await startScriptedUpstream();
});
afterAll(async () => {
  await exits.close();
  await upstream.close();
});

function httpProvider(changed: Partial<HttpProviderOptions> = {}): Provider {
  return createHttpProvider({
    id: 'http',
    kind: openaiKind,
    baseUrl: `${upstream.url}/v1/`,
    dialects: ['openai-chat'],
    sendsUnlisted: false,
    countsTokens: false,
    key: () => Promise.resolve(ok(new Secret('sk-canary'))),
    headers: {},
    timeouts,
    maxOutputTokens: undefined,
    internal: true,
    egress: exits.egress,
    ...changed,
  });
}

const anthropicProvider = () =>
  httpProvider({ kind: anthropicKind, baseUrl: upstream.url, dialects: ['anthropic-messages'] });

const never = new Promise<never>(() => undefined);
const list: Script = {
  pieces: ['{"object":"list","data":[{"id":"up","created":5},{"id":"two"}]}'],
};

function scripts(format: keyof typeof whole): Readonly<Record<string, Script>> {
  const stream = streamed[format];
  return {
    list,
    whole: whole[format],
    stream,
    endless: { ...stream, pieces: [firstOf(stream), { wait: never }] },
  };
}

function overHttp(
  make: () => Provider,
  format: keyof typeof whole,
): () => Promise<ProviderSubject> {
  return () => {
    const all = scripts(format);
    const prepare = (kind: string): void => upstream.expect(all[kind] ?? list);
    return Promise.resolve({ provider: make(), model: 'up', prepare });
  };
}

describeProvider('provider-http for openai', overHttp(httpProvider, 'openai-chat'));
describeProvider('provider-http for anthropic', overHttp(anthropicProvider, 'anthropic'));
describeProvider('provider-builtin', () =>
  Promise.resolve({
    provider: createBuiltinProvider(() => 0),
    model: 'eliza',
    prepare: () => undefined,
  }),
);
describeProvider('the fake', () => {
  const provider = createFakeProvider({ id: 'fake' });
  const prepare = (kind: string): void => {
    if (kind === 'list') return;
    const answer = new FakeAnswer(kind === 'whole' ? 'application/json' : 'text/event-stream');
    if (kind === 'whole') answer.write(firstOf(whole['openai-chat'])).end();
    if (kind === 'endless') answer.write(firstOf(streamed['openai-chat']));
    if (kind === 'stream') {
      for (const piece of streamed['openai-chat'].pieces)
        if (typeof piece === 'string') answer.write(piece);
      answer.end();
    }
    provider.expect(answer);
  };
  return Promise.resolve({ provider, model: 'up', prepare });
});

describe('provider-http', () => {
  const signal = new AbortController().signal;
  const last = () => upstream.received.at(-1);
  const header = (name: string) => last()?.headers.find(([each]) => each === name)?.[1];

  test('signs on with its own credential, whatever headers it is given', async () => {
    const dialect = dialectNamed('openai-chat');
    for (const [provider, name, value] of [
      [
        httpProvider({ headers: { authorization: 'Bearer other' } }),
        'authorization',
        'Bearer sk-canary',
      ],
      [anthropicProvider(), 'x-api-key', 'sk-canary'],
    ] as const) {
      upstream.expect(list);
      // oxlint-disable-next-line no-await-in-loop -- one call after the other
      await provider.call({
        dialect,
        path: '/x',
        body: '{}',
        headers: { authorization: 'Bearer caller', 'x-api-key': 'caller' },
        signal,
      });
      expect(header(name)).toBe(value);
    }
  });

  test('without a credential does not call', async () => {
    const before = upstream.received.length;
    const gone = { code: 'upstream_credential', message: 'not set' } as const;
    const provider = httpProvider({ key: () => Promise.resolve({ ok: false, error: gone }) });
    expect(await provider.list(signal)).toEqual({ ok: false, error: gone });
    expect(upstream.received.length).toBe(before);
  });

  test('reads a list of several pages, and stops at one that never ends', async () => {
    const page = (id: string, more: boolean): Script => ({
      pieces: [
        JSON.stringify({
          data: [{ type: 'model', id, created_at: '2026-01-02T03:04:05Z', max_tokens: 64 }],
          has_more: more,
          last_id: id,
        }),
      ],
    });
    upstream.expect(page('a', true), page('b c', true), page('d', false));
    expect(await anthropicProvider().list(signal)).toEqual({
      ok: true,
      value: ['a', 'b c', 'd'].map((id) => ({ id, created: 1_767_323_045, maxOutputTokens: 64 })),
    });
    expect(last()?.url).toBe('/v1/models?after_id=b%20c');
    const before = upstream.received.length;
    upstream.expect(...Array.from({ length: 25 }, () => page('a', true)));
    expect(await anthropicProvider().list(signal)).toMatchObject({ ok: true });
    expect(upstream.received.length - before).toBe(20);
  });

  test.each<[string, Script, string]>([
    ['is refused', { status: 401, pieces: ['{}'] }, 'upstream_credential'],
    ['is not there', { status: 404, pieces: ['{}'] }, 'upstream_error'],
    [
      'is somewhere else',
      { status: 302, headers: { location: '/' }, pieces: [''] },
      'upstream_error',
    ],
    ['is no JSON', { pieces: ['<html>'] }, 'upstream_error'],
    ['is no list', { pieces: ['{"models":[]}'] }, 'upstream_error'],
    ['is an array', { pieces: ['[]'] }, 'upstream_error'],
    ['breaks off', { pieces: ['{"data":[', { cut: true }] }, 'upstream_error'],
  ])('a list that %s is a refusal', async (_, script, code) => {
    upstream.expect(script);
    const listed = await httpProvider().list(signal);
    expect(listed).toMatchObject({ ok: false, error: { code } });
    expect(JSON.stringify(listed)).not.toContain('sk-canary');
  });

  test('passes over entries that are no models', async () => {
    upstream.expect({
      pieces: ['{"data":[null,5,"x",{},{"id":7},{"id":""},{"id":"up","created":"x"}]}'],
    });
    expect(await httpProvider({ maxOutputTokens: 9 }).list(signal)).toEqual({
      ok: true,
      value: [{ id: 'up', maxOutputTokens: 9 }],
    });
  });
});

describe('provider-http on a connection that closes', () => {
  const text = firstOf(whole['openai-chat']);
  const response = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`;

  /** What becomes of calls to a server, one after the other. */
  async function outcomes(port: number, calls: number): Promise<string[]> {
    const provider = httpProvider({ baseUrl: `http://127.0.0.1:${port}` });
    const found: string[] = [];
    for (let call = 0; call < calls; call += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one call after the other
      const called = await provider.call({
        dialect: dialectNamed('openai-chat'),
        path: '/x',
        body: '{}',
        headers: {},
        signal: new AbortController().signal,
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      const body = called.ok ? await called.value.readAll(100_000) : called;
      found.push(body.ok ? 'answered' : body.error.code);
      // The connection is given back after the last byte was read.
      // oxlint-disable-next-line no-await-in-loop -- as above
      await new Promise((resolve) => {
        setTimeout(resolve, 10);
      });
    }
    return found;
  }

  test('sends once more where the connection was a kept one', async () => {
    const raw = await rawUpstream((socket, _, index) => {
      if (index === 2) socket.destroy();
      else socket.write(response);
    });
    expect(await outcomes(raw.port, 2)).toEqual(['answered', 'answered']);
    expect(raw.connections).toBe(2);
  });

  test('does not where it was a new one', async () => {
    const raw = await rawUpstream((socket) => socket.destroy());
    expect(await outcomes(raw.port, 1)).toEqual(['upstream_error']);
    expect(raw.connections).toBe(1);
  });

  test('does not do so twice', async () => {
    const raw = await rawUpstream((socket, _, index) => {
      if (index > 1) socket.destroy();
      else socket.write(response);
    });
    expect(await outcomes(raw.port, 2)).toEqual(['answered', 'upstream_error']);
    expect(raw.connections).toBe(2);
  });

  test('does not once an answer has begun, nor for one that is no HTTP', async () => {
    for (const second of [response.slice(0, -10), 'nonsense\r\n\r\n']) {
      // oxlint-disable-next-line no-await-in-loop -- one server after the other
      const raw = await rawUpstream((socket, _, index) => {
        if (index === 1) socket.write(response);
        else socket.write(second, () => socket.destroy());
      });
      // oxlint-disable-next-line no-await-in-loop -- as above
      expect(await outcomes(raw.port, 2)).toEqual(['answered', 'upstream_error']);
      expect(raw.connections).toBe(1);
    }
  });
});

afterEach(() => {
  upstream.forget();
});

test('a provider on several machines is called where the call says, whoever is there now', async () => {
  let machines = [upstream.url];
  const provider = httpProvider({
    baseUrl: 'http://127.0.0.1:1/v1',
    endpoints: () => machines.map((url) => `${url}/v1/`),
  });
  expect(provider.endpoints?.()).toEqual([`${upstream.url}/v1/`]);
  upstream.expect(list, list);
  const signal = new AbortController().signal;
  expect(await provider.list(signal)).toMatchObject({ ok: true });
  expect(await provider.check?.(`${upstream.url}/v1/`, signal)).toEqual(ok(undefined));
  machines = [];
  expect(await provider.list(signal)).toMatchObject({ ok: false });
});

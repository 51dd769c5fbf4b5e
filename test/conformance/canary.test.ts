import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { newFolder, until, up } from '../e2e/process.ts';
import { startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { filesOf, leaksIn } from '../leaks.ts';
import { everyKey, keysAsTags, startGateway } from './gateway.ts';

/** A secret in every place where a caller or an upstream can put one, and a search of everything that is left behind. */

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

const places: string[] = [];
/** A secret of its own for each place, so that a leak says where it came from. */
function canary(place: string): string {
  places.push(place);
  return `canary-${place}-7f3a9c`;
}

/** Fails in the ways upstreams do, with a secret in each of them; answers one model with a secret. */
function upstream(): Promise<string> {
  const server = http.createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    response.setHeader('x-upstream', canary('upstream-header'));
    if (request.url?.endsWith('/models') === true) {
      response.end(
        '{"object":"list","data":[{"id":"good","object":"model"},{"id":"bad","object":"model"}]}',
      );
      return;
    }
    let body = '';
    request.on('data', (piece: Buffer) => (body += piece.toString()));
    request.on('end', () => {
      if (body.includes('"bad"')) {
        response.statusCode = 400;
        response.end(JSON.stringify({ error: { message: canary('upstream-error'), type: 'x' } }));
        return;
      }
      const message = { role: 'assistant', content: canary('answer') };
      const usage = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      response.end(
        JSON.stringify({ id: 'c', object: 'chat.completion', model: 'good', choices, usage }),
      );
    });
  });
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      // A server that listens on TCP has an address with a port.
      resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    });
  });
}

function bodyOf(model: string): string {
  return JSON.stringify({
    model,
    user: canary('user'),
    metadata: { note: canary('metadata') },
    messages: [
      { role: 'system', content: canary('system') },
      { role: 'user', content: canary('prompt') },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          {
            id: 'call_1',
            type: 'function',
            function: { name: 'f', arguments: JSON.stringify({ a: canary('tool-args') }) },
          },
        ],
      },
      { role: 'tool', tool_call_id: 'call_1', content: canary('tool-result') },
    ],
    tools: [
      {
        type: 'function',
        function: { name: 'f', description: canary('tool'), parameters: { type: 'object' } },
      },
    ],
  });
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function overSocket(options: http.RequestOptions, body: string | undefined): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.request(options, (response) => {
      let text = '';
      response.on('data', (piece: Buffer) => (text += piece.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    request.on('error', reject);
    request.end(body);
  });
}

/**
 * An error to a caller without the name that this caller asked for (a model, a path), which it may repeat, and without
 * what the model server said to it, which is passed on to the one who asked and to nobody else.
 */
function withoutAsked(text: string): string {
  return text.replaceAll(/canary-(?:[a-z-]*model[a-z-]*|path|upstream-error)-7f3a9c/g, '');
}

test('a secret of a caller or an upstream is in no log, record, database page or backup', async () => {
  const postern = await up({
    words: ['--log', 'json', '--log-level', 'debug'],
    env: { PROVIDER_BASE_URL: await upstream(), PROVIDER_API_KEY: canary('provider-key') },
  });
  const headers = {
    'content-type': 'application/json',
    authorization: `Bearer ${canary('authorization')}`,
    'x-anything': canary('header'),
    cookie: `session=${canary('cookie')}`,
    'user-agent': canary('user-agent'),
    referer: `http://x/${canary('referer')}`,
    'x-request-id': canary('request-id'),
    traceparent: canary('traceparent'),
  };
  const socketPath = path.join(postern.stateDir, 'run', 'control.sock');
  const statuses: number[] = [];
  const errors: string[] = [];
  /** Over TCP and over the control socket, where the caller is known whatever else runs on this machine. */
  const send = async (method: string, route: string, body?: string, more = {}): Promise<void> => {
    const all = { ...headers, ...more };
    const sent = body === undefined ? {} : { body };
    await (await fetch(postern.url + route, { method, headers: all, ...sent })).text();
    const { status, text } = await overSocket(
      { socketPath, method, path: route, headers: all },
      body,
    );
    statuses.push(status);
    if (status >= 400) errors.push(withoutAsked(text));
  };
  const chat = '/v1/chat/completions';
  await send('POST', `${chat}?q=${canary('query')}`, bodyOf('upstream/good'));
  await send('POST', chat, bodyOf('upstream/bad'));
  await send('POST', chat, bodyOf(canary('model')));
  await send('POST', '/v1/messages', bodyOf(canary('model-messages')));
  await send('POST', chat, `{"model": "${canary('broken-json')}`);
  const ownKey = { authorization: `Bearer pst_${canary('own-key')}` };
  await send('POST', chat, bodyOf('upstream/good'), ownKey);
  await send('POST', `/bedrock/model/${canary('path-model')}/converse`, '{}');
  await send('GET', '/v1/models', undefined, { 'x-api-key': canary('api-key') });
  await send('GET', `/v1/models/${canary('listed-model')}`);
  await send('GET', `/${canary('path')}?${canary('path-query')}`);
  await send('GET', '/v1/models', undefined, { origin: `http://${canary('origin')}.example` });
  await send('POST', '/ask', JSON.stringify({ prompt: canary('ask'), model: canary('ask-model') }));
  expect(statuses.slice(0, 3)).toEqual([200, 400, 404]);
  await postern.cli('key', 'create', 'ci');
  const metrics = await overSocket({ socketPath, path: '/metrics', headers: {} }, undefined);
  expect(metrics.text).toContain('postern_requests_total{route="other",status="4xx"}');
  const backups = await newFolder();
  expect(await postern.cli('backup', path.join(backups, 'b'))).toMatchObject({ code: 0 });
  postern.child.kill('SIGTERM');
  const ended = await postern.ended;
  await until(() => postern.child.exitCode !== null);

  const seen: [string, Buffer][] = [
    ['stdout', Buffer.from(ended.out)],
    ['stderr', Buffer.from(ended.err)],
    ['metrics', Buffer.from(metrics.text)],
    ...errors.map((text, i): [string, Buffer] => [`error ${i}`, Buffer.from(text)]),
    ...(await filesOf([postern.stateDir, backups])),
  ];
  expect(seen.map(([name]) => name)).toContain('00000000000000000001.log');
  expect(places.length).toBeGreaterThan(30);
  expect(leaksIn(seen)).toEqual([]);
  // What is known is still said.
  expect(ended.out).toContain('"upstream/good"');
});

test('a secret of a caller or an upstream is in no trace, no metric and no alert', async () => {
  const collector = await startScriptedUpstream();
  const hook = await startScriptedUpstream();
  closers.push(
    () => void collector.close(),
    () => void hook.close(),
  );
  const base = { kind: 'openai', baseUrl: await upstream() };
  const gateway = await startGateway({
    policy: everyKey,
    config: {
      identities: keysAsTags(),
      providers: { upstream: { ...base, key: { env: 'KEY' } }, any: { ...base, models: ['*'] } },
      budgets: { tiny: { usd: 1, every: 'day', match: ['*'] } },
      telemetry: {
        traces: {
          endpoint: `${collector.url}/v1/traces`,
          headers: { 'x-key': { env: 'COLLECTOR' } },
          propagate: true,
        },
      },
      alerts: { webhooks: [{ url: hook.url, secret: { env: 'HOOK' } }], budgetPercent: 1 },
    },
    env: {
      KEY: canary('provider-key'),
      COLLECTOR: canary('collector-key'),
      HOOK: canary('hook-secret'),
    },
  });
  try {
    const key = await gateway.key('ci');
    const send = async (model: string, traceparent: string): Promise<number> => {
      const answer = await fetch(`${gateway.url}/v1/chat/completions?q=${canary('query')}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          traceparent,
          tracestate: `vendor=${canary('tracestate')}`,
          baggage: `user=${canary('baggage')}`,
          'user-agent': canary('user-agent'),
        },
        body: bodyOf(model),
      });
      await answer.text();
      return answer.status;
    };
    const joined = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    expect(await send('upstream/good', joined)).toBe(200);
    expect(await send('upstream/bad', canary('traceparent'))).toBe(400);
    // A provider that takes any name is sent a secret as one.
    const anyModel = canary('any-model');
    expect(await send(`any/${anyModel}`, joined)).toBe(200);
    const socketPath = path.join(gateway.stateDir, 'run', 'control.sock');
    const metrics = await overSocket({ socketPath, path: '/metrics', headers: {} }, undefined);
    expect(metrics.text).toContain('postern_model_requests_total{model="other"');
    const log = JSON.stringify(gateway.log);
    await gateway.stop();
    const traces = collector.received.map(({ body }) => body).join('\n');
    expect(traces).toContain('chat good');
    expect(traces).toContain('chat sha256:');
    const told = hook.received.map(({ body }) => body).join('\n');
    // Who lets callers name models has their names in the log and in the books, which are kept by model.
    const seen = { metrics: metrics.text, log: log.replaceAll(anyModel, ''), traces, told };
    expect(
      leaksIn(Object.entries(seen).map(([name, text]) => [name, Buffer.from(text)] as const)),
    ).toEqual([]);
  } finally {
    await gateway.stop();
  }
});

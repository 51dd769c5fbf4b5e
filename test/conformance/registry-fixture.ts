import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach } from 'vitest';
import type { TestGateway } from './gateway.ts';
import { everyKey, keysAsTags, startGateway } from './gateway.ts';

/** A registry with a provider that follows it, and boxes with one model each. */
export const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

/** A box with one model, which counts what it is asked. */
export async function gpu(name: string): Promise<{
  port: number;
  asked: () => number;
  die: () => void;
  be: (isSick: boolean) => void;
  /** From now on it answers nothing and closes nothing, as a machine without power. */
  fallSilent: () => void;
}> {
  let asked = 0;
  let sick = false;
  let silent = false;
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      if (silent) {
        asked += 1;
        return;
      }
      if (sick) {
        response.statusCode = 500;
        response.end();
        return;
      }
      response.setHeader('content-type', 'application/json');
      if (request.method === 'GET') {
        response.end(JSON.stringify({ object: 'list', data: [{ id: 'm', object: 'model' }] }));
        return;
      }
      asked += 1;
      const message = { role: 'assistant', content: name };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
      response.end(
        JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', choices, usage }),
      );
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const die = (): void => {
    server.closeAllConnections();
    server.close();
  };
  closers.push(() => Promise.resolve(die()));
  // A TCP server has an address of this form.
  return {
    port: (server.address() as AddressInfo).port,
    asked: () => asked,
    die,
    be: (isSick) => (sick = isSick),
    fallSilent: () => (silent = true),
  };
}

export async function registry(
  engine: Record<string, string> = {},
  more: Record<string, unknown> = {},
): Promise<TestGateway> {
  const started = await startGateway({
    policy: everyKey,
    config: {
      ...(Object.keys(engine).length === 0 ? {} : { engine }),
      identities: keysAsTags('caller'),
      registry: { address: '127.0.0.1:0', networks: ['127.0.0.0/8', '100.64.0.0/10'], ...more },
      providers: { pool: { kind: 'openai', discover: { nodeType: 'instant' } } },
    },
  });
  closers.push(() => started.stop());
  return started;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export async function ask(
  to: TestGateway,
  path: string,
  {
    method = 'GET',
    body,
    ...headers
  }: Record<string, string> & { method?: string; body?: string } = {},
): Promise<Answer> {
  const response = await fetch(`http://${to.address('control')}${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  const text = await response.text();
  // The routes answer with objects.
  const said = (text.startsWith('{') ? JSON.parse(text) : { text }) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body: said };
}

export async function chat(
  to: TestGateway,
  key: string,
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${to.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: JSON.stringify({ model: 'pool/m', messages: [{ role: 'user', content: 'hi' }] }),
  });
  return { status: response.status, text: await response.text() };
}

export const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

import { writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { everyKey, keysAsTags } from '../conformance/gateway.ts';
import type { Up } from '../e2e/process.ts';
import { newFolder, up } from '../e2e/process.ts';

/** An upstream that answers every question with so many tokens, once it may. */
export interface CountingUpstream {
  readonly url: string;
  /** Questions that arrived. */
  readonly asked: number;
  /** Until `go` questions wait for their answers. */
  hold(): void;
  go(): void;
  close(): Promise<void>;
}

export const tokensPerAnswer = 100;

export async function startCountingUpstream(): Promise<CountingUpstream> {
  let asked = 0;
  let gate = Promise.resolve();
  let open = (): void => undefined;
  const answer = JSON.stringify({
    id: 'c1',
    object: 'chat.completion',
    created: 1,
    model: 'a',
    choices: [{ index: 0, message: { role: 'assistant', content: 'x' }, finish_reason: 'stop' }],
    usage: {
      prompt_tokens: 5,
      completion_tokens: tokensPerAnswer,
      total_tokens: 5 + tokensPerAnswer,
    },
  });
  const server = http.createServer((request, response) => {
    asked += 1;
    request.resume();
    request.on('end', () => {
      void gate.then(() => {
        response.setHeader('content-type', 'application/json');
        response.end(answer);
      });
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', 1_024, resolve));
  // Listening on TCP, it has one.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    get asked() {
      return asked;
    },
    hold: () => {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    go: () => open(),
    close: async () => {
      open();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export interface ReplicaOptions {
  readonly postgres?: string;
  readonly valkey?: string;
  readonly upstream: string;
  readonly leaseSeconds?: number;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** One whole process of several that share their stores, with a state folder of its own. */
export async function replica(name: string, options: ReplicaOptions): Promise<Up> {
  const { postgres, valkey, upstream, leaseSeconds = 2, more } = options;
  const stateDir = await newFolder();
  const config = {
    providers: { m: { kind: 'openai', baseUrl: `${upstream}/v1`, models: ['a'] } },
    // A tenth of a dollar for an answer of the length that everybody asks for.
    prices: { 'm/a': { input: 0, output: 1_000 } },
    identities: keysAsTags(),
    store: {
      name,
      ...(postgres === undefined
        ? {}
        : { postgres: { url: { env: 'TEST_DATABASE' }, leaseSeconds } }),
      ...(valkey === undefined ? {} : { valkey: { url: { env: 'TEST_VALKEY' } } }),
    },
    ...more,
  };
  await writeFile(path.join(stateDir, 'postern.hujson'), JSON.stringify(config));
  await writeFile(path.join(stateDir, 'policy.hujson'), everyKey);
  return up({ stateDir, env: { TEST_DATABASE: postgres, TEST_VALKEY: valkey } });
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 2_000 });

export interface Answer {
  /** 0: the connection broke before an answer. */
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** One question for 100 tokens; never fails. */
export function ask(gate: Pick<Up, 'url'>, key: string, more: object = {}): Promise<Answer> {
  const question = {
    model: 'm/a',
    max_tokens: tokensPerAnswer,
    messages: [{ role: 'user', content: 'x' }],
  };
  return new Promise((resolve) => {
    const broken = (): void => resolve({ status: 0, headers: {}, body: '' });
    const request = http.request(
      `${gate.url}/v1/chat/completions`,
      { method: 'POST', agent },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        );
        response.on('error', broken);
      },
    );
    request.setHeader('authorization', `Bearer ${key}`);
    request.setHeader('content-type', 'application/json');
    request.on('error', broken);
    request.end(JSON.stringify({ ...question, ...more }));
  });
}

/** How many answers had which status. */
export function tally(answers: readonly Answer[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
}

/** A machine that sleeps: woken by a packet, a program or a call, warmed up, and asked once it answers. */
import { createSocket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway, waitFor } from './gateway.ts';
import {
  type Answer,
  call,
  cleanEnd,
  errorIn,
  firstOf,
  type InFormat,
  openCall,
  routes,
  saidIn,
  streamed,
  whole,
} from './gateway-fixture.ts';

const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A machine with a fixed port that takes no connection while it sleeps. */
interface Box {
  readonly url: string;
  readonly requests: string[];
  wake(): Promise<void>;
  sleep(): Promise<void>;
  /** While it is set, the server answers its health check with 503, as one does that loads a model. */
  isLoading: boolean;
}

async function sleepingBox(): Promise<Box> {
  const port = await freePort();
  let server: Server | undefined;
  const box: Box = {
    url: `http://127.0.0.1:${port}`,
    requests: [],
    isLoading: false,
    wake: () => {
      if (server !== undefined) return Promise.resolve();
      const awake = http.createServer((request, response) => {
        let body = '';
        request.on('data', (piece: Buffer) => {
          body += piece.toString();
        });
        request.on('end', () => {
          if (request.url === '/health') {
            response.writeHead(box.isLoading ? 503 : 200).end('{}');
            return;
          }
          box.requests.push(body);
          const isStream = body.includes('"stream":true');
          const script = isStream ? streamed['openai-chat'] : whole['openai-chat'];
          response.writeHead(200, { 'content-type': 'application/json', ...script.headers });
          for (const piece of script.pieces) if (typeof piece === 'string') response.write(piece);
          response.end();
        });
      });
      server = awake;
      return new Promise((resolve) => {
        awake.listen(port, '127.0.0.1', resolve);
      });
    },
    sleep: () => {
      const awake = server;
      server = undefined;
      return new Promise((resolve) => {
        if (awake === undefined) {
          resolve();
          return;
        }
        awake.close(() => resolve());
        if (awake instanceof http.Server) awake.closeAllConnections();
      });
    },
  };
  closing.push(() => box.sleep());
  return box;
}

interface Given {
  readonly wake: Record<string, unknown>;
  readonly aliases?: Record<string, unknown>;
  readonly providers?: Record<string, unknown>;
  readonly provider?: Record<string, unknown>;
  readonly limits?: Record<string, unknown>;
}

function configOf(box: Box, given: Given): Record<string, unknown> {
  return {
    providers: {
      gpu: {
        kind: 'openai',
        api: ['chat'],
        baseUrl: `${box.url}/v1`,
        models: ['up'],
        timeouts: { connectMs: 300 },
        health: { path: '/health', intervalMs: 3_600_000 },
        wake: { pollMs: 100, readyMs: 10_000, ...given.wake },
        ...given.provider,
      },
      ...given.providers,
    },
    aliases: given.aliases ?? {},
    ...(given.limits === undefined ? {} : { limits: given.limits }),
    identities: keysAsTags(),
  };
}

async function gatewayFor(box: Box, given: Given): Promise<{ one: TestGateway; key: string }> {
  const one = await startGateway({ config: configOf(box, given), policy: everyKey });
  closing.push(() => one.stop());
  return { one, key: await one.key('sleepy') };
}

function asking(one: TestGateway, key: string, format: InFormat = 'openai-chat', stream = false) {
  return (model: string): Promise<Answer> =>
    call(one, { path: routes[format].path, key, body: routes[format].body(model, stream) });
}

async function stateOf(one: TestGateway, key: string, id = 'gpu/up'): Promise<unknown> {
  const { text } = await call(one, { path: '/v1/models', method: 'GET', key });
  // The list of models, in the shape of OpenAI's.
  const { data } = JSON.parse(text) as { data: { id: string; state: string }[] };
  return data.find((model) => model.id === id)?.state;
}

/** Who hears the call that is to wake the box. */
async function doorbell(onRing: (request: http.IncomingMessage) => void): Promise<string> {
  const server = http.createServer((request, response) => {
    onRing(request);
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  closing.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/on`;
}

describe('a machine that sleeps is woken', () => {
  test('by a magic packet', async () => {
    const box = await sleepingBox();
    const socket = createSocket('udp4');
    const heard: Buffer[] = [];
    socket.on('message', (packet) => {
      heard.push(packet);
      void box.wake();
    });
    await new Promise<void>((resolve) => {
      socket.bind(0, '127.0.0.1', resolve);
    });
    closing.push(() => void socket.close());
    const lan = { mac: '0a:1B:2c-3d:4e:5f', address: '127.0.0.1', port: socket.address().port };
    const { one, key } = await gatewayFor(box, { wake: { by: { lan } } });
    expect((await asking(one, key)('gpu/up')).status).toBe(200);
    const mac = Buffer.from('0a1b2c3d4e5f', 'hex');
    const packet = Buffer.concat([Buffer.alloc(6, 0xff), ...Array.from({ length: 16 }, () => mac)]);
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.every((each) => each.equals(packet))).toBe(true);
  });

  test('by a program, which sees nothing of our environment', async () => {
    const box = await sleepingBox();
    const dir = await mkdtemp(path.join(tmpdir(), 'postern-wake-'));
    closing.push(() => rm(dir, { recursive: true, force: true }));
    const script = path.join(dir, 'wake.mjs');
    const mark = path.join(dir, 'mark');
    await writeFile(
      script,
      `import { writeFileSync } from 'node:fs';
       writeFileSync(process.argv[2], Object.keys(process.env).join(' '));`,
    );
    const { one, key } = await gatewayFor(box, {
      wake: { by: { command: [process.execPath, script, mark] } },
    });
    const asked = asking(one, key)('gpu/up');
    const { readFile } = await import('node:fs/promises');
    await expect
      .poll(() => readFile(mark, 'utf8').catch(() => undefined), { timeout: 5_000 })
      .toBeDefined();
    await box.wake();
    expect((await asked).status).toBe(200);
    expect(
      (await readFile(mark, 'utf8')).split(' ').filter((name) => /KEY|POSTERN/.test(name)),
    ).toEqual([]);
  });

  test('by a call, with its token', async () => {
    const box = await sleepingBox();
    const rung: (string | undefined)[] = [];
    const url = await doorbell((request) => {
      rung.push(`${request.method} ${request.headers.authorization}`);
      void box.wake();
    });
    const tokens = await mkdtemp(path.join(tmpdir(), 'postern-wake-'));
    closing.push(() => rm(tokens, { recursive: true, force: true }));
    const bearer = path.join(tokens, 'token');
    await writeFile(bearer, 'plug-token\n', { mode: 0o600 });
    const { one, key } = await gatewayFor(box, {
      wake: { by: { http: { url, bearer: { file: bearer } } } },
    });
    expect((await asking(one, key)('gpu/up')).status).toBe(200);
    expect(rung).toEqual(['POST Bearer plug-token']);
  });
});

describe('while it wakes', () => {
  test('everybody waits for one waking, its state is told, and it is warm before the first asks', async () => {
    const box = await sleepingBox();
    let rings = 0;
    box.isLoading = true;
    const url = await doorbell(() => {
      rings += 1;
      void box.wake();
    });
    const { one, key } = await gatewayFor(box, {
      wake: { by: { http: { url } }, warmUp: ['up'] },
    });
    await expect.poll(() => stateOf(one, key)).toBe('asleep');
    const answers = [1, 2, 3].map(() => asking(one, key)('gpu/up'));
    await expect.poll(() => stateOf(one, key)).toBe('loading');
    expect(box.requests).toEqual([]);
    box.isLoading = false;
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(rings).toBe(1);
    expect(box.requests[0]).toContain('"max_tokens":1');
    expect(box.requests).toHaveLength(4);
    expect(await stateOf(one, key)).toBe('ready');
  });

  test('a stream is kept alive, and a failure after that is its last event', async () => {
    const box = await sleepingBox();
    const url = await doorbell(() => undefined);
    const { one, key } = await gatewayFor(box, {
      wake: { by: { http: { url } }, readyMs: 2_500, again: 0 },
      limits: { heartbeatMs: 1_000 },
    });
    const late = await asking(one, key, 'openai-chat', true)('gpu/up');
    expect(late.status).toBe(200);
    expect(late.text).toMatch(/^(?::[^\n]*\n\n){1,3}data: /);
    expect(errorIn('openai-chat', late.text)).toMatchObject({ code: 'upstream_overloaded' });
    expect(late.text).not.toMatch(cleanEnd['openai-chat']);

    const asked = asking(one, key, 'openai-chat', true)('gpu/up');
    setTimeout(() => void box.wake(), 1_200);
    const good = await asked;
    expect(good.text).toMatch(/^:[^\n]*\n\n/);
    expect(good.text).toMatch(cleanEnd['openai-chat']);
    expect(saidIn('openai-chat', true, good.text)).toBe('Hello');
    const line = await one.logged((each) => each['request_id'] === good.headers['x-request-id']);
    expect(line).toMatchObject({ outcome: 'complete', target: 'gpu/up' });
  });

  test('a whole answer that is not ready in time is a status with a time to come back', async () => {
    const box = await sleepingBox();
    const url = await doorbell(() => undefined);
    const { one, key } = await gatewayFor(box, { wake: { by: { http: { url } }, readyMs: 1_000 } });
    const late = await asking(one, key, 'anthropic-messages')('gpu/up');
    expect(late.status).toBe(503);
    expect(errorIn('anthropic-messages', late.text)).toMatchObject({ type: 'overloaded_error' });
    expect(late.headers['retry-after']).toBe('1');
  });

  test('another target answers, unless the rules say to wait', async () => {
    const box = await sleepingBox();
    const other = await sleepingBox();
    await other.wake();
    let rings = 0;
    const url = await doorbell(() => {
      rings += 1;
      void box.wake();
    });
    const given = (whileAsleep: string): Given => ({
      wake: { by: { http: { url } }, whileAsleep },
      providers: {
        other: { kind: 'openai', api: ['chat'], baseUrl: `${other.url}/v1`, models: ['up'] },
      },
      aliases: { instant: ['gpu/up', 'other/up'] },
    });
    const { one, key } = await gatewayFor(box, given('nextTarget'));
    const first = await asking(one, key)('instant');
    const line = await one.logged((each) => each['request_id'] === first.headers['x-request-id']);
    expect(line).toMatchObject({ target: 'other/up', attempts: 1 });
    // It is woken all the same, for whoever asks next.
    await waitFor(() => (rings === 1 ? true : undefined));
    await expect.poll(() => stateOf(one, key)).toBe('ready');

    await box.sleep();
    const patient = await gatewayFor(box, given('wait'));
    const second = await asking(patient.one, patient.key)('instant');
    const after = await patient.one.logged(
      (each) => each['request_id'] === second.headers['x-request-id'],
    );
    expect(after).toMatchObject({ target: 'gpu/up', attempts: 1 });
  });
});

test('one that fell asleep again is woken by the next request, and that is no failure', async () => {
  const box = await sleepingBox();
  const url = await doorbell(() => void box.wake());
  const { one, key } = await gatewayFor(box, { wake: { by: { http: { url } } } });
  expect((await asking(one, key)('gpu/up')).status).toBe(200);
  await box.sleep();
  const again = await asking(one, key)('gpu/up');
  expect(again.status).toBe(200);
  const { body } = await one.control('GET', '/api/v1/runtime');
  expect(body['routing']).toMatchObject({ wakes: 2, failures: 0, breakerOpened: 0 });
});

test('what is known of a machine outlives a new configuration', async () => {
  const box = await sleepingBox();
  await box.wake();
  const url = await doorbell(() => undefined);
  const given: Given = { wake: { by: { http: { url } } } };
  const { one, key } = await gatewayFor(box, given);
  await expect.poll(() => stateOf(one, key)).toBe('ready');
  await box.sleep();
  const stays = { ...configOf(box, { ...given, provider: { maxConcurrent: 2 } }) };
  await writeFile(path.join(one.stateDir, 'postern.hujson'), JSON.stringify(stays), {
    mode: 0o600,
  });
  expect((await one.control('POST', '/api/v1/config/reload')).body).toMatchObject({
    message: expect.stringMatching(/in force|unchanged/),
  });
  expect(await stateOf(one, key)).toBe('ready');
});

describe('a caller who leaves', () => {
  test('while the machine wakes is let go at once, and the machine is not asked for them', async () => {
    const box = await sleepingBox();
    const url = await doorbell(() => undefined);
    const { one, key } = await gatewayFor(box, { wake: { by: { http: { url } } } });
    const body = routes['openai-chat'].body('gpu/up', true);
    const { request } = openCall(one, { path: '/v1/chat/completions', key, body });
    request.on('error', () => undefined);
    await expect.poll(() => stateOf(one, key)).toBe('loading');
    request.destroy();
    const line = await one.logged((each) => each['outcome'] === 'aborted');
    expect(line).toMatchObject({ status: 499 });
    expect(line).not.toHaveProperty('attempts');
    expect(line).not.toHaveProperty('output_tokens');
    await box.wake();
    await expect.poll(() => stateOf(one, key)).toBe('ready');
    expect(box.requests).toEqual([]);
  });

  test('while they wait for their turn gives it to the next, and no model hears of them', async () => {
    let release = (): void => undefined;
    const seen: string[] = [];
    const server = http.createServer((request, response) => {
      let text = '';
      request.on('data', (piece: Buffer) => {
        text += piece.toString();
      });
      request.on('end', () => {
        seen.push(text);
        const answer = (): void => void response.end(firstOf(whole['openai-chat']));
        response.writeHead(200, { 'content-type': 'application/json' });
        if (seen.length === 1) release = answer;
        else answer();
      });
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    closing.push(() => {
      server.close();
      server.closeAllConnections();
    });
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const one = await startGateway({
      config: {
        providers: {
          gpu: {
            kind: 'openai',
            api: ['chat'],
            baseUrl: `http://127.0.0.1:${port}/v1`,
            models: ['up'],
            maxConcurrent: 1,
          },
        },
        identities: keysAsTags(),
      },
      policy: everyKey,
    });
    closing.push(() => one.stop());
    const key = await one.key('queue');
    const open = (words: string) =>
      openCall(one, {
        path: '/v1/chat/completions',
        key,
        body: { model: 'gpu/up', messages: [{ role: 'user', content: words }] },
      });
    const queued = async (): Promise<unknown> => {
      const { body } = await one.control('GET', '/api/v1/runtime');
      return /"queued":(\d+)/.exec(JSON.stringify(body))?.[1];
    };
    const first = open('first').answer();
    await waitFor(() => (seen.length === 1 ? true : undefined));
    const leaver = open('leaver');
    leaver.request.on('error', () => undefined);
    await expect.poll(queued).toBe('1');
    const third = open('third').answer();
    await expect.poll(queued).toBe('2');
    leaver.request.destroy();
    const line = await one.logged((each) => each['outcome'] === 'aborted');
    expect(line).toMatchObject({ status: 499 });
    expect(line).not.toHaveProperty('attempts');
    expect(await queued()).toBe('1');
    release();
    expect([(await first).status, (await third).status]).toEqual([200, 200]);
    expect(seen.join(' ')).not.toContain('leaver');
    expect(seen).toHaveLength(2);
    const { body } = await one.control('GET', '/api/v1/runtime');
    expect(body['routing']).toMatchObject({ queued: 2, queueLeft: 1, attempts: 2 });
  });
});

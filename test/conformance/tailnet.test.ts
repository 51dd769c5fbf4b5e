/** The gateway as a node, against a scripted local API: who is believed when, and what happens when nobody answers. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Server } from 'node:http';
import { Agent, createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import type { TestGateway } from './gateway.ts';
import { granting, startGateway } from './gateway.ts';

const policy = granting({ 'alice@example.com': { models: ['**'] } });

/** What a tailscaled would say, as a test sets it. */
class LocalApi {
  readonly socket: string;
  status: Record<string, unknown> = {
    BackendState: 'Running',
    TUN: true,
    TailscaleIPs: ['127.0.0.1'],
    Self: { DNSName: 'ai.mesh.internal.' },
    CurrentTailnet: { MagicDNSSuffix: 'mesh.internal' },
  };
  server = 'https://controlplane.tailscale.com';
  /** The login behind every address; undefined: nobody; null: an answer that says nothing. */
  login: string | undefined | null = 'alice@example.com';
  serve: unknown = null;
  readonly asked: string[] = [];
  #http: Server | undefined;
  readonly #streams = new Set<(line: string) => void>();

  constructor(socket: string) {
    this.socket = socket;
  }

  async listen(): Promise<void> {
    this.#http = createServer((incoming, response) => {
      const target = (incoming.url ?? '').replace('/localapi/v0/', '');
      this.asked.push(`${incoming.method} ${target}`);
      let body = '';
      incoming.setEncoding('utf8').on('data', (text: string) => (body += text));
      incoming.on('end', () => {
        if (target.startsWith('watch-ipn-bus')) {
          this.#streams.add((line) => response.write(line));
          response.write('{"State":6}\n');
        } else if (incoming.method === 'POST') {
          this.serve = JSON.parse(body) as unknown;
          response.end();
        } else
          this.#answer(target, (status, value) =>
            response.writeHead(status, { etag: '"1"' }).end(JSON.stringify(value)),
          );
      });
    });
    await new Promise<void>((resolve) => {
      this.#http?.listen(this.socket, resolve);
    });
  }

  #answer(target: string, send: (status: number, value: unknown) => void): void {
    if (target.startsWith('status')) send(200, this.status);
    else if (target === 'prefs') send(200, { ControlURL: this.server });
    else if (target === 'serve-config') send(200, this.serve);
    else if (this.login === undefined) send(404, 'no match for IP:port');
    else if (this.login === null) send(500, 'no');
    else {
      const Node = { StableID: 'n1', Addresses: ['100.64.0.2/32'] };
      send(200, { Node, UserProfile: { LoginName: this.login } });
    }
  }

  news(): void {
    for (const write of this.#streams) write('{"NetMap":{}}\n');
  }

  async close(): Promise<void> {
    this.#streams.clear();
    const http = this.#http;
    this.#http = undefined;
    if (http === undefined) return;
    http.closeAllConnections();
    await new Promise((resolve) => {
      http.close(resolve);
    });
  }
}

let folder: string;
let api: LocalApi;
let gate: TestGateway | undefined;
let port: number;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'pt-'));
  api = new LocalApi(path.join(folder, 's'));
  port = await freePort();
});
afterEach(async () => {
  await gate?.stop();
  gate = undefined;
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

async function start(engine: Record<string, unknown> = {}): Promise<TestGateway> {
  gate = await startGateway({
    config: { engine: { nodePort: port, ...engine } },
    policy,
    env: { TS_SOCKET: api.socket },
  });
  return gate;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function ask(
  at: { port: number } | { socketPath: string },
  headers: Record<string, string> = {},
  agent: Agent | false = false,
): Promise<Answer> {
  return new Promise((resolve) => {
    const sent = request(
      {
        ...at,
        host: '127.0.0.1',
        method: 'POST',
        path: '/ask',
        agent,
        headers: { host: 'ai', 'content-type': 'application/json', ...headers },
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
      },
    );
    sent.on('error', () => resolve({ status: 0, body: '' }));
    sent.end('{"prompt":"I am worried"}');
  });
}

const overMesh = (headers?: Record<string, string>) => ask({ port }, headers);
const isOpen = () => expect.poll(async () => (await overMesh()).status, { timeout: 8_000 });

describe('with a network device', () => {
  test('whoever whois names is the caller, and the policy judges them', async () => {
    await api.listen();
    await start();
    await isOpen().toBe(200);
    api.login = 'bob@example.com';
    expect((await overMesh()).status).toBe(403);
    expect(api.asked.some((line) => /whois\?addr=127\.0\.0\.1%3A\d+$/.test(line))).toBe(true);
    const page = await overMesh({ origin: 'https://evil.example' });
    expect(page).toMatchObject({
      status: 403,
      body: expect.stringContaining('origin_not_allowed'),
    });
    expect((await overMesh({ host: 'evil.example' })).status).toBe(403);
  });

  test('an address that nobody has is 401, a daemon that cannot answer 503', async () => {
    await api.listen();
    await start();
    await isOpen().toBe(200);
    api.login = undefined;
    const nobody = await overMesh();
    expect(nobody).toMatchObject({ status: 401, body: expect.stringContaining('does not know') });
    api.login = null;
    expect(await overMesh()).toMatchObject({
      status: 503,
      body: expect.stringContaining('state_unavailable'),
    });
  });

  test('a daemon that is gone is 503 for everybody, and known again when it is back', async () => {
    await api.listen();
    await start();
    await isOpen().toBe(200);
    await api.close();
    await rm(api.socket, { force: true });
    expect((await overMesh()).status).toBe(503);
    await api.listen();
    await isOpen().toBe(200);
  });

  test('requests of one connection share one question, until the network changes', async () => {
    await api.listen();
    await start();
    await isOpen().toBe(200);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const again = async () => (await ask({ port }, {}, agent)).status;
    expect(await again()).toBe(200);
    const lookUps = () => api.asked.filter((line) => line.includes('whois')).length;
    const before = lookUps();
    expect([await again(), await again()]).toEqual([200, 200]);
    expect(lookUps()).toBe(before);
    api.login = 'bob@example.com';
    api.news();
    await expect.poll(again).toBe(403);
    agent.destroy();
  });

  test('one that is logged out opens nothing', async () => {
    api.status = { BackendState: 'NeedsLogin', TUN: true, TailscaleIPs: null };
    await api.listen();
    const running = await start();
    await running.logged(({ problem }) => String(problem).includes('not logged in'));
    expect((await overMesh()).status).toBe(0);
  });
});

test('without a device, Serve is set to the serve socket, which believes its headers', async () => {
  api.status = { ...api.status, TUN: false, TailscaleIPs: ['100.64.0.1'] };
  await api.listen();
  const running = await start({ join: 'start' });
  await expect.poll(() => api.serve, { timeout: 5_000 }).not.toBeNull();
  const socket = path.join(running.stateDir, 'run', 'serve.sock');
  expect(api.serve).toEqual({
    TCP: { '80': { HTTP: true } },
    Web: { 'ai.mesh.internal:80': { Handlers: { '/': { Proxy: `unix:${socket}` } } } },
  });
  const by = (login: string, asked = 'ai') => ({
    host: 'localhost',
    'x-forwarded-host': asked,
    'x-forwarded-for': '100.64.0.2',
    'tailscale-user-login': login,
  });
  const served = (headers: Record<string, string>) => ask({ socketPath: socket }, headers);
  expect((await served(by('alice@example.com'))).status).toBe(200);
  expect((await served(by('alice@example.com', 'ai.mesh.internal'))).status).toBe(200);
  expect((await served(by('bob@example.com'))).status).toBe(403);
  expect((await served(by('alice@example.com', 'evil.example'))).body).toContain(
    'host_not_allowed',
  );
  const local = { ...by('alice@example.com'), origin: 'http://localhost' };
  expect((await served(local)).body).toContain('origin_not_allowed');
});

test('the Serve of a node that is not there for us stays as it is', async () => {
  api.status = { ...api.status, TUN: false, TailscaleIPs: ['100.64.0.1'] };
  await api.listen();
  const running = await start();
  await running.logged(({ problem }) => String(problem).includes('tailscale serve --bg --http=80'));
  expect(api.serve).toBeNull();
});

test('with our own engine, a tailscaled of another network is not believed', async () => {
  await api.listen();
  const address = `127.0.0.1:${await freePort()}`;
  const off = { stunAddress: 'off', derpAddress: 'off' };
  const running = await start({ url: `http://${address}`, address, ...off });
  await running.logged(({ problem }) =>
    String(problem).includes('belongs to https://controlplane'),
  );
  expect((await overMesh()).status).toBe(0);
  expect((await ask({ port: running.port })).status).toBe(401);
  expect(api.asked.some((line) => line.includes('whois'))).toBe(false);
});

test('told to stay off the network, it asks no tailscaled', async () => {
  await api.listen();
  const address = `127.0.0.1:${await freePort()}`;
  const off = { stunAddress: 'off', derpAddress: 'off' };
  await start({ url: `http://${address}`, address, ...off, join: 'off' });
  expect((await overMesh()).status).toBe(0);
  expect(api.asked).toEqual([]);
});

import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ok, Secret } from '@postern/core/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LocalApiPlace } from './index.ts';
import {
  askLocalNode,
  askLocalServer,
  createLocalApiWhois,
  findLocalApi,
  joinLocalNode,
  localSockets,
  macApp,
  macStoreApp,
  meetPeers,
  serveOnSocket,
  watchLocalApi,
} from './index.ts';

let folder: string;
let server: Server;
let place: LocalApiPlace;
let asked: { line: string; body: string; headers: IncomingMessage['headers'] }[];
let answer: (line: string, response: ServerResponse) => void;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-la-'));
  asked = [];
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const line = `${request.method} ${request.url?.replace('/localapi/v0/', '')}`;
      asked.push({ line, body, headers: request.headers });
      answer(line, response);
    });
  });
  const path = join(folder, 's');
  place = { kind: 'socket', path };
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

const json = (response: ServerResponse, value: unknown, status = 200, etag = '"1"'): void => {
  response.writeHead(status, { etag }).end(JSON.stringify(value));
};

describe('where a tailscaled answers', () => {
  test('each system has its own place, and a container names its socket', () => {
    expect(localSockets('linux', {})[0]).toBe('/var/run/tailscale/tailscaled.sock');
    expect(localSockets('linux', {})).toContain('/tmp/tailscaled.sock');
    expect(localSockets('linux', { TS_SOCKET: '/x/y' })[0]).toBe('/x/y');
    expect(localSockets('darwin', {})).toEqual(['/var/run/tailscaled.socket']);
    expect(localSockets('win32', {})).toEqual([
      String.raw`\\.\pipe\ProtectedPrefix\Administrators\Tailscale\tailscaled`,
    ]);
  });

  test('a socket that is there is taken', async () => {
    const path = join(folder, 's');
    expect(await findLocalApi('linux', { TS_SOCKET: path })).toEqual({ kind: 'socket', path });
  });

  test('the macOS app is found by its link and its secret, or not at all', async () => {
    expect(await macApp(folder)).toBeUndefined();
    symlinkSync('49152', join(folder, 'ipnport'));
    expect(await macApp(folder)).toBeUndefined();
    writeFileSync(join(folder, 'sameuserproof-49152'), 'abc123\n');
    expect(await macApp(folder)).toEqual({ kind: 'port', port: 49_152, secret: 'abc123' });
    rmSync(join(folder, 'ipnport'));
    symlinkSync('x', join(folder, 'ipnport'));
    expect(await macApp(folder)).toBeUndefined();
  });

  test('the macOS app of the App Store is found by the name of one file, or not at all', async () => {
    expect(await macStoreApp(join(folder, 'nowhere'))).toBeUndefined();
    for (const name of ['sameuserproof-0-abc', 'sameuserproof-99999-abc', 'sameuserproof-1-x/'])
      writeFileSync(join(folder, name.replace('/', '')), '');
    expect(await macStoreApp(folder)).toBeUndefined();
    writeFileSync(join(folder, 'sameuserproof-49152-00ff'), '');
    expect(await macStoreApp(folder)).toEqual({ kind: 'port', port: 49_152, secret: '00ff' });
  });

  test('by port it is asked with the secret as password of nobody', async () => {
    answer = (_line, response) => json(response, { BackendState: 'Running' });
    const tcp = createServer((request, response) => server.emit('request', request, response));
    await new Promise<void>((resolve) => {
      tcp.listen(0, '127.0.0.1', resolve);
    });
    // A TCP server has an address object.
    const { port } = tcp.address() as AddressInfo;
    expect(await askLocalNode({ kind: 'port', port, secret: 'abc' })).toMatchObject({ ok: true });
    expect(asked[0]?.headers).toMatchObject({
      host: 'local-tailscaled.sock',
      authorization: `Basic ${Buffer.from(':abc').toString('base64')}`,
    });
    tcp.close();
  });
});

describe('machines that see this one', () => {
  const peer = (address: string, more: object = {}) => ({
    TailscaleIPs: [address],
    Online: true,
    ...more,
  });
  const pings = (): readonly string[] =>
    asked.map(({ line }) => line).filter((line) => line.startsWith('POST ping?'));

  test('are asked until they know us, and then through the tunnel; who is away is not asked', async () => {
    let tries = 0;
    answer = (line, response) => {
      if (line === 'GET status') {
        const away = peer('100.64.0.9', { Online: false });
        json(response, { Peer: { a: peer('100.64.0.2'), b: away } });
        return;
      }
      tries += 1;
      json(response, { Err: tries === 1 ? 'unknown peer' : '', LatencySeconds: 0.001 });
    };
    await meetPeers(place, 5_000);
    expect(pings()).toEqual([
      'POST ping?ip=100.64.0.2&type=disco',
      'POST ping?ip=100.64.0.2&type=disco',
      'POST ping?ip=100.64.0.2&type=TSMP',
    ]);
  });

  test('that never answer are left in time; of many, some are met, those with tags first', async () => {
    answer = (line, response) => {
      if (line !== 'GET status') return;
      const peers = Array.from({ length: 40 }, (_, i) => peer(`100.64.1.${i}`));
      const tagged = peer('100.64.0.3', { Tags: ['tag:gateway'] });
      json(response, { Peer: Object.fromEntries(Object.entries([...peers, tagged])) });
    };
    const startMs = performance.now();
    await meetPeers(place, 300);
    expect(performance.now() - startMs).toBeLessThan(3_000);
    const met = new Set(pings());
    expect(met.size).toBe(16);
    expect(met).toContain('POST ping?ip=100.64.0.3&type=disco');
  });

  test('are nobody where the daemon does not say', async () => {
    answer = (_line, response) => json(response, { Peer: null });
    await meetPeers(place, 5_000);
    expect(pings()).toEqual([]);
  });
});

describe('what it says of itself', () => {
  test('state, device, name and addresses', async () => {
    answer = (_line, response) =>
      json(response, {
        BackendState: 'Running',
        TUN: true,
        TailscaleIPs: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
        Self: { DNSName: 'ai.mesh.internal.', Tags: ['tag:gateway'] },
        CurrentTailnet: { MagicDNSSuffix: 'mesh.internal' },
        AuthURL: '',
      });
    expect(await askLocalNode(place)).toEqual(
      ok({
        state: 'Running',
        hasDevice: true,
        addresses: ['100.64.0.1', 'fd7a:115c:a1e0::1'],
        name: 'ai.mesh.internal',
        tags: ['tag:gateway'],
        suffix: 'mesh.internal',
        authUrl: undefined,
      }),
    );
    expect(asked[0]?.line).toBe('GET status?peers=false');
  });

  test('an answer that cannot be read is a sentence', async () => {
    answer = (_line, response) => json(response, 'no', 500);
    expect(await askLocalNode(place)).toEqual({ ok: false, error: 'tailscaled answered 500' });
    expect(await askLocalServer({ kind: 'socket', path: join(folder, 'none') })).toEqual({
      ok: false,
      error: 'tailscaled cannot be reached (ENOENT)',
    });
  });
});

describe('logging in', () => {
  const request = {
    server: 'http://127.0.0.1:8090',
    authKey: new Secret('pstauth-x'),
    hostname: 'ai',
  };

  test('keeps what the daemon was set to, and never sends its identity back', async () => {
    answer = (line, response) =>
      line === 'GET prefs'
        ? json(response, { ControlURL: '', ExitNodeID: 'n9', Config: { PrivateNodeKey: 'k' } })
        : response.writeHead(204).end();
    expect(await joinLocalNode(place, request)).toEqual(ok(undefined));
    expect(asked.map(({ line }) => line)).toEqual([
      'GET prefs',
      'POST start',
      'POST login-interactive',
    ]);
    const body: unknown = JSON.parse(asked[1]?.body ?? '');
    expect(body).toMatchObject({
      AuthKey: 'pstauth-x',
      UpdatePrefs: {
        ControlURL: 'http://127.0.0.1:8090',
        Hostname: 'ai',
        WantRunning: true,
        ExitNodeID: 'n9',
        CorpDNS: false,
      },
    });
    expect(asked[1]?.body).not.toContain('PrivateNodeKey');
  });

  test('a daemon that does not let us is quoted', async () => {
    answer = (line, response) =>
      line === 'GET prefs' ? json(response, {}) : response.writeHead(403).end('access denied\n');
    expect(await joinLocalNode(place, request)).toEqual({
      ok: false,
      error: 'tailscaled answered 403: access denied',
    });
  });
});

describe('Serve', () => {
  const wanted = { name: 'ai.mesh.internal', socket: '/x/serve.sock' };
  const ours = {
    TCP: { '80': { HTTP: true } },
    Web: { 'ai.mesh.internal:80': { Handlers: { '/': { Proxy: 'unix:/x/serve.sock' } } } },
  };

  test('is set where it is empty, and left alone where it is right', async () => {
    answer = (line, response) =>
      line.startsWith('GET') ? json(response, null) : response.writeHead(200).end();
    expect(await serveOnSocket(place, wanted)).toEqual(ok(undefined));
    expect(asked[1]).toMatchObject({ line: 'POST serve-config', headers: { 'if-match': '"1"' } });
    expect(JSON.parse(asked[1]?.body ?? '')).toEqual(ours);
    asked = [];
    answer = (_line, response) => json(response, ours);
    expect(await serveOnSocket(place, wanted)).toEqual(ok(undefined));
    expect(asked).toHaveLength(1);
  });

  test('keeps what somebody else serves, and tries again where they were quicker', async () => {
    const other = { '443': { HTTPS: true } };
    let version = 1;
    answer = (line, response) => {
      if (line.startsWith('GET')) json(response, { TCP: other }, 200, `"${version}"`);
      else response.writeHead(version++ < 2 ? 412 : 200).end();
    };
    expect(await serveOnSocket(place, wanted)).toEqual(ok(undefined));
    expect(asked.map(({ line }) => line.slice(0, 4))).toEqual(['GET ', 'POST', 'GET ', 'POST']);
    expect(JSON.parse(asked[3]?.body ?? '')).toMatchObject({ TCP: { ...other, ...ours.TCP } });
    version = -100;
    expect(await serveOnSocket(place, wanted)).toMatchObject({ ok: false });
  });

  test('takes no port from anybody, but follows its own socket to another folder', async () => {
    const posts = () => asked.filter(({ line }) => line.startsWith('POST'));
    let now: unknown;
    answer = (line, response) =>
      line.startsWith('GET') ? json(response, now) : response.writeHead(200).end();
    now = { TCP: { '80': { TCPForward: '127.0.0.1:3000' } } };
    expect(await serveOnSocket(place, wanted)).toMatchObject({ ok: false });
    const other = { Handlers: { '/': { Proxy: 'http://127.0.0.1:3000' } } };
    now = { TCP: ours.TCP, Web: { 'ai.mesh.internal:80': other } };
    expect(await serveOnSocket(place, wanted)).toEqual({
      ok: false,
      error: 'http://ai.mesh.internal:80 serves something else already',
    });
    expect(posts()).toEqual([]);
    const former = { '/': { Proxy: 'unix:/old/run/serve.sock' }, '/docs': { Path: '/srv' } };
    now = { TCP: ours.TCP, Web: { 'ai.mesh.internal:80': { Handlers: former } } };
    expect(await serveOnSocket(place, wanted)).toEqual(ok(undefined));
    expect(JSON.parse(posts()[0]?.body ?? '')).toMatchObject({
      Web: {
        'ai.mesh.internal:80': {
          Handlers: { '/': { Proxy: 'unix:/x/serve.sock' }, '/docs': { Path: '/srv' } },
        },
      },
    });
  });

  test('says why it cannot be set', async () => {
    answer = (line, response) =>
      line.startsWith('GET') ? json(response, null) : response.writeHead(401).end('must be root');
    expect(await serveOnSocket(place, wanted)).toEqual({
      ok: false,
      error: 'tailscaled answered 401: must be root',
    });
  });
});

test('news of the daemon drop what whois remembers; until they end, it remembers for longer', async () => {
  const person = {
    Node: { Addresses: ['100.64.0.2/32'] },
    UserProfile: { LoginName: 'alice@example.com' },
  };
  let stream: ServerResponse | undefined;
  answer = (line, response) => {
    if (!line.includes('watch-ipn-bus')) return json(response, person);
    stream = response;
    response.write('{"State":6}\n');
  };
  let nowMs = 0;
  let isWatched = false;
  const memory = createLocalApiWhois({
    place,
    monotonicMs: () => nowMs,
    isWatched: () => isWatched,
  });
  let news = 0;
  const ended = watchLocalApi(
    place,
    () => {
      isWatched = true;
      news += 1;
      memory.forget();
    },
    new AbortController().signal,
  );
  await expect.poll(() => news).toBe(1);
  const lookUps = () => asked.filter(({ line }) => line.includes('whois')).length;
  await memory.whois('100.64.0.2:1');
  nowMs = 20_000;
  await memory.whois('100.64.0.2:1');
  expect(lookUps()).toBe(1);
  stream?.write('{"NetMap":{}}\n');
  await expect.poll(() => news).toBe(2);
  await memory.whois('100.64.0.2:1');
  expect(lookUps()).toBe(2);
  nowMs = 60_000;
  await memory.whois('100.64.0.2:1');
  expect(lookUps()).toBe(3);
  stream?.end();
  await ended;
  isWatched = false;
  nowMs = 62_000;
  await memory.whois('100.64.0.2:1');
  expect(lookUps()).toBe(4);
});

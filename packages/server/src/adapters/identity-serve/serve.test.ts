import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err, ok } from '@postern/core/base';
import { refusal } from '@postern/core/errors';
import { tailnetNode, tailnetUser } from '@postern/core/identity';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Whois } from '../../gateway/identity-ports.ts';
import type { HttpRequest } from '../../http/index.ts';
import { createLocalApiWhois, createServeAuthenticator } from './index.ts';

const robot = tailnetNode('n7', 'ci.mesh.example', ['tag:ci'], ['100.64.0.7']);

/** Only the headers of a request matter here. */
function serve(headers: Readonly<Record<string, string>>, whois?: Whois) {
  const request = { headers: new Map(Object.entries(headers)) } as Partial<HttpRequest>;
  return createServeAuthenticator(whois)(request as HttpRequest);
}

const directory =
  (asked: string[] = []): Whois =>
  (address) => {
    asked.push(address);
    if (address === '100.64.0.7') return Promise.resolve(ok({ principal: robot }));
    if (address === '100.64.0.2')
      return Promise.resolve(ok({ principal: tailnetUser('alice@example.com', 'Alice') }));
    return Promise.resolve(ok(undefined));
  };

describe('the serve socket', () => {
  test('believes the login that serve names, without asking anybody', async () => {
    const asked: string[] = [];
    const headers = {
      'tailscale-user-login': 'alice@example.com',
      'tailscale-user-name': 'Alice',
      'x-forwarded-for': '100.64.0.2',
      'tailscale-app-capabilities': '{"a":[1]}',
    };
    expect(await serve(headers, directory(asked))).toEqual(
      ok({
        kind: 'known',
        identity: {
          principal: tailnetUser('alice@example.com', 'Alice'),
          capabilities: { a: [1] },
        },
      }),
    );
    expect(asked).toEqual([]);
  });

  test('looks up a tagged caller by the one address', async () => {
    const asked: string[] = [];
    const known = ok({ kind: 'known', identity: { principal: robot } });
    expect(await serve({ 'x-forwarded-for': '100.64.0.7' }, directory(asked))).toEqual(known);
    expect(await serve({ 'x-forwarded-for': '::ffff:100.64.0.7' }, directory(asked))).toEqual(
      known,
    );
    const tagged = { 'tailscale-user-login': 'tagged-devices', 'x-forwarded-for': '100.64.0.7' };
    expect(await serve(tagged, directory(asked))).toEqual(known);
    expect(asked).toEqual(['100.64.0.7', '100.64.0.7', '100.64.0.7']);
  });

  test.each([
    '100.64.0.7, 100.64.0.8',
    '100.64.0.7:80',
    'unknown',
    '',
    '100.64.0.07',
    'fe80::1%eth0',
  ])('refuses the forwarded address %j', async (address) => {
    const result = await serve({ 'x-forwarded-for': address }, directory());
    expect(!result.ok && result.error.code).toBe('malformed_http');
  });

  test('knows nobody without login and address, beyond the mesh, or where a user is not named by serve', async () => {
    const unknown = ok({ kind: 'unknown' });
    expect(await serve({}, directory())).toEqual(unknown);
    expect(await serve({ 'x-forwarded-for': '100.64.0.9' }, directory())).toEqual(unknown);
    expect(await serve({ 'x-forwarded-for': '100.64.0.2' }, directory())).toEqual(unknown);
    expect(await serve({ 'x-forwarded-for': '100.64.0.7' })).toEqual(unknown);
  });

  test('takes a Funnel request for nobody, whatever else it says', async () => {
    const headers = { 'tailscale-funnel-request': '?1', 'tailscale-user-login': 'ceo@example.com' };
    expect(await serve(headers, directory())).toEqual(ok({ kind: 'funnel' }));
  });

  test('passes a failure on as a failure', async () => {
    const down: Whois = () => Promise.resolve(err(refusal('state_unavailable', 'down')));
    const result = await serve({ 'x-forwarded-for': '100.64.0.7' }, down);
    expect(!result.ok && result.error.code).toBe('state_unavailable');
  });
});

describe('whois of the local tailscaled', () => {
  let folder: string;
  let socketPath: string;
  let server: Server;
  let asked: string[];
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  let clockMs: number;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'postern-ts-'));
    socketPath = join(folder, 'tailscaled.sock');
    asked = [];
    clockMs = 0;
    server = createServer((request, response) => {
      asked.push(`${request.headers.host} ${request.url}`);
      answer(request, response);
    });
    await new Promise<void>((resolve) => {
      server.listen(socketPath, resolve);
    });
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const json = (value: unknown, status = 200) => {
    answer = (_request, response) => {
      response.writeHead(status).end(typeof value === 'string' ? value : JSON.stringify(value));
    };
  };
  const place = (path: string) => ({ kind: 'socket', path }) as const;
  const whois = () =>
    createLocalApiWhois({ place: place(socketPath), monotonicMs: () => clockMs }).whois;
  const laptop = {
    Node: {
      ID: 12,
      StableID: 'n12',
      Name: 'laptop.mesh.example.',
      Addresses: ['100.64.0.2/32', 'fd7a:115c:a1e0::2/128'],
    },
    UserProfile: { ID: 3, LoginName: 'alice@example.com', DisplayName: 'Alice' },
    CapMap: { 'example.com/cap/ai': [{ models: ['gpt-5*'] }] },
  };

  test('names the user of a node, its addresses and what it is granted', async () => {
    json(laptop);
    expect(await whois()('100.64.0.2:51234')).toEqual(
      ok({
        principal: {
          ...tailnetUser('alice@example.com', 'Alice'),
          addresses: ['100.64.0.2', 'fd7a:115c:a1e0::2'],
        },
        capabilities: { 'example.com/cap/ai': [{ models: ['gpt-5*'] }] },
      }),
    );
    expect(asked).toEqual(['local-tailscaled.sock /localapi/v0/whois?addr=100.64.0.2%3A51234']);
  });

  test('names a tagged node by its tags and never by a user', async () => {
    json({ ...laptop, Node: { ...laptop.Node, Tags: ['tag:ci'] }, CapMap: null });
    expect(await whois()('100.64.0.2')).toEqual(
      ok({
        principal: tailnetNode(
          'n12',
          'laptop.mesh.example',
          ['tag:ci'],
          ['100.64.0.2', 'fd7a:115c:a1e0::2'],
        ),
      }),
    );
  });

  test('knows nobody where tailscaled knows nobody', async () => {
    json('no match for IP:port', 404);
    expect(await whois()('127.0.0.1:5')).toEqual(ok(undefined));
  });

  test.each<readonly [string, unknown, number]>([
    ['an error', 'no', 500],
    ['a refusal', 'no', 403],
    ['a bad request', 'no', 400],
    ['no JSON', 'hello', 200],
    ['a list', [], 200],
    ['no node', { UserProfile: laptop.UserProfile }, 200],
    ['no user', { Node: laptop.Node }, 200],
    [
      'the user of all tagged nodes',
      { ...laptop, UserProfile: { LoginName: 'tagged-devices' } },
      200,
    ],
    [
      'a tag that is none',
      { ...laptop, Node: { ...laptop.Node, Tags: ['admin@example.com'] } },
      200,
    ],
    ['too much', `"${'x'.repeat(1_100_000)}"`, 200],
  ])('an answer of %s is 503, never "nobody"', async (_name, value, status) => {
    json(value, status);
    const result = await whois()('100.64.0.2');
    expect(!result.ok && result.error.code).toBe('state_unavailable');
  });

  test('a daemon that is away or breaks off is 503, and is asked again with the next request', async () => {
    answer = (request) => request.socket.destroy();
    const ask = whois();
    expect(await ask('100.64.0.2')).toMatchObject({ ok: false });
    json(laptop);
    expect(await ask('100.64.0.2')).toMatchObject({ ok: true });
    const gone = { place: place(join(folder, 'none')), monotonicMs: () => 0 };
    const nowhere = createLocalApiWhois(gone).whois;
    const result = await nowhere('100.64.0.2');
    expect(!result.ok && result.error).toMatchObject({
      code: 'state_unavailable',
      detail: { cause: 'tailscaled cannot be reached (ENOENT)' },
    });
  });

  test('a daemon that does not answer is given up after two seconds', async () => {
    answer = () => undefined;
    const result = await whois()('100.64.0.2');
    expect(!result.ok && result.error.detail).toEqual({
      cause: 'tailscaled does not answer in time',
    });
  });

  test('answers count for two seconds, each for its own address', async () => {
    json(laptop);
    const ask = whois();
    await Promise.all([ask('100.64.0.2:1'), ask('100.64.0.2:1'), ask('100.64.0.2:2')]);
    expect(asked.length).toBe(2);
    clockMs = 1_999;
    await ask('100.64.0.2:1');
    expect(asked.length).toBe(2);
    clockMs = 2_000;
    json('gone', 404);
    expect(await ask('100.64.0.2:1')).toEqual(ok(undefined));
  });
});

/** Providers behind a proxy: SOCKS5 and CONNECT. What a proxy cannot do is widen where we may go. */
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { Secret } from '@postern/core/base';
import type { OutboundProxy } from '@postern/server/http';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  connectProxy,
  type FakeProxy,
  type FakeProxyOptions,
  socks5Proxy,
} from '../fakes/proxies.ts';
import { makeCertificate, type TestCertificate } from '../harness/http-framing/certificate.ts';
import { canary, exits, listen, outcome, requestTo, upstream } from './egress-fixture.ts';

let authority: TestCertificate;
let certificate: TestCertificate;

beforeAll(() => {
  authority = makeCertificate({ name: 'authority', subjects: [] });
  certificate = makeCertificate({
    name: 'model.example',
    subjects: ['model.example'],
    issuer: authority,
  });
});

const answerOk = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';
const names = { 'model.example': '127.0.0.1', 'far.example': '127.0.0.1' };

const makers = { socks5: socks5Proxy, http: connectProxy } as const;

async function proxied(kind: OutboundProxy['kind'], options: FakeProxyOptions = {}) {
  const proxy: FakeProxy = makers[kind]({ names, ...options });
  const counted = await listen(proxy.server);
  const via: OutboundProxy = { kind, hostname: '127.0.0.1', port: counted.port };
  return { ...proxy, counted, via };
}

async function tlsUpstream() {
  const server = createTlsServer(
    { key: certificate.keyPem, cert: certificate.certificatePem },
    (socket) => {
      socket.on('error', () => undefined).on('data', () => socket.write(answerOk));
    },
  );
  server.on('tlsClientError', () => undefined);
  return await listen(server);
}

describe.each(['socks5', 'http'] as const)('a %s proxy', (kind) => {
  test('resolves the name and passes on what is said, over one kept connection', async () => {
    const there = await upstream((socket) => socket.write(answerOk));
    const { via, asked, counted } = await proxied(kind, { drips: true });
    const handle = exits({ resolve: () => Promise.reject(new Error('not ours to resolve')) });
    const request = requestTo(`http://far.example:${there.port}/v1`, { via });
    expect(await outcome(handle, request)).toBe('200 ok');
    // A connection is given back a turn of the loop later.
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
    expect(await outcome(handle, request)).toBe('200 ok');
    expect(asked).toEqual([`${kind === 'socks5' ? 'name ' : ''}far.example:${there.port}`]);
    expect([counted.connections, there.connections]).toEqual([1, 1]);
  });

  test('sees the name of a TLS upstream and nothing else; its certificate is verified', async () => {
    const there = await tlsUpstream();
    const { via } = await proxied(kind);
    const caPem = authority.certificatePem;
    const url = `https://model.example:${there.port}/`;
    const closed = { internal: false };
    expect(await outcome(exits(), requestTo(url, { via, caPem, permission: closed }))).toBe(
      '200 ok',
    );
    expect(await outcome(exits(), requestTo(url, { via }))).toBe('upstream_unavailable');
    const other = requestTo(`https://far.example:${there.port}/`, { via, caPem });
    expect(await outcome(exits(), other)).toBe('upstream_unavailable');
  });

  test('is told who we are where it asks, and connections are not shared between logins', async () => {
    const there = await upstream((socket) => socket.write(answerOk));
    const login = { user: 'gate', password: 'pä:ss' };
    const { via, logins } = await proxied(kind, { login });
    const handle = exits();
    const url = `http://far.example:${there.port}/`;
    const as = (password: string) =>
      requestTo(url, {
        via: { ...via, credentials: { user: 'gate', password: new Secret(password) } },
      });
    expect(await outcome(handle, as('pä:ss'))).toBe('200 ok');
    expect(await outcome(handle, as('wrong'))).toBe('upstream_unavailable');
    expect(await outcome(handle, requestTo(url, { via }))).toBe('upstream_unavailable');
    expect(logins).toEqual(['gate:pä:ss', 'gate:wrong']);
  });

  test('that cannot reach the upstream, hangs, or is none, is an upstream that cannot be reached', async () => {
    const { via } = await proxied(kind);
    const gone = await exits().egress(requestTo('http://nowhere.example:81/', { via }));
    expect(gone).toMatchObject({
      ok: false,
      error: { code: 'upstream_unavailable', detail: { stage: 'connect' } },
    });
    const silent = await proxied(kind, { hangs: true });
    const times = { connectMs: 200, firstByteMs: 1_000, idleMs: 1_000, totalMs: 3_000 };
    const waiting = requestTo('http://far.example:81/', { via: silent.via, timeouts: times });
    expect(await outcome(exits(), waiting)).toBe('upstream_unavailable');
    const mail = await listen(
      createServer((socket) => socket.end('220 mail.example ready\r\n\r\n')),
    );
    const notOne = requestTo('http://far.example:81/', { via: { ...via, port: mail.port } });
    expect(await outcome(exits(), notOne)).toBe('upstream_unavailable');
  });

  test('is left at once with its caller, also in the middle of its own handshake', async () => {
    const { via, counted, asked } = await proxied(kind, { hangs: true });
    const caller = new AbortController();
    const request = requestTo('http://far.example:81/', { via, signal: caller.signal });
    const sent = outcome(exits(), request);
    await expect.poll(() => asked.length).toBe(1);
    caller.abort();
    expect(await sent).toBe('upstream_unavailable');
    await expect.poll(() => counted.sockets.size).toBe(0);
  });

  test('does not lead where a provider may not go', async () => {
    const there = await canary();
    const { via, asked } = await proxied(kind, { names: { localhost: '127.0.0.1', ...names } });
    const permission = { internal: false };
    // oxlint-disable-next-line no-await-in-loop -- one after the other, so that the count is theirs
    for (const url of [
      `http://127.0.0.1:${there.port}/`,
      `https://127.0.0.1:${there.port}/`,
      'https://169.254.169.254/',
      'https://[fd00:ec2::254]/',
      'https://0.0.0.0/',
      'https://10.0.0.1/',
      `https://localhost:${there.port}/`,
      `https://x.localhost.:${there.port}/`,
      // Nothing would prove who answers.
      `http://far.example:${there.port}/`,
    ])
      expect(await outcome(exits(), requestTo(url, { via, permission })), url).toBe(
        'egress_refused',
      );
    expect(await outcome(exits(), requestTo('http://0.0.0.0/', { via }))).toBe('egress_refused');
    expect([asked, there.connections]).toEqual([[], 0]);
  });

  test('is given an address as one, of both families', async () => {
    const { via, asked } = await proxied(kind);
    const six = await listen(
      createServer((socket) => {
        socket.on('data', () => socket.write(answerOk)).on('error', () => undefined);
      }),
      '::1',
    );
    expect(await outcome(exits(), requestTo(`http://[::1]:${six.port}/`, { via }))).toBe('200 ok');
    expect(asked[0]).toBe(
      kind === 'socks5' ? `address ${'0'.repeat(31)}1:${six.port}` : `::1:${six.port}`,
    );
  });
});

test('an upstream with an IPv6 address only is reached, by address and by name', async () => {
  const six = await listen(
    createServer((socket) => {
      socket.on('data', () => socket.write(answerOk)).on('error', () => undefined);
    }),
    '::1',
  );
  expect(await outcome(exits(), requestTo(`http://[::1]:${six.port}/`))).toBe('200 ok');
  const handle = exits({ resolve: () => Promise.resolve(['::1']) });
  expect(await outcome(handle, requestTo(`http://six.example:${six.port}/`))).toBe('200 ok');
});

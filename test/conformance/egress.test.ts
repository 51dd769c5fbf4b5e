/** Where the way out may lead: addresses, names, redirects, certificates, proxies. Canaries count connections. */
import { createServer as createTlsServer } from 'node:tls';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeCertificate, type TestCertificate } from '../harness/http-framing/certificate.ts';
import { canary, exits, listen, outcome, requestTo, upstream } from './egress-fixture.ts';

const closed = { internal: false } as const;
const opened = { internal: true } as const;

/** Spellings of addresses that a caller could hope we read differently. */
const loopbackSpellings = [
  '127.0.0.1',
  '127.1',
  '127.0.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '0x7f.0.0.1',
  '0177.0.0.1',
  '017700000001',
  '127.0.0.1.',
  '127.255.255.254',
  '１２７.0.0.1',
  '127。0。0。1',
  '0',
  '0.0.0.0',
  '0x0',
  '[::]',
  '[::1]',
  '[0:0:0:0:0:0:0:1]',
  '[::127.0.0.1]',
  '[::7f00:1]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  '[::FFFF:7F00:0001]',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '[64:ff9b::127.0.0.1]',
  '[64:ff9b::7f00:1]',
  '[64:ff9b:1::7f00:1]',
  '[2002:7f00:1::]',
  '[2001:0:7f00:1::]',
  '[fec0::1]',
] as const;
const metadataSpellings = [
  '169.254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '0xa9.0xfe.0xa9.0xfe',
  '0251.0376.0251.0376',
  '169.254.43518',
  '169.16689662',
  '１６９.254.169.254',
  '169.254.169.254.',
  '169.254.170.2',
  '[fd00:ec2::254]',
  '[fd20:ce::254]',
  '[fe80::a9fe:a9fe]',
  '[::ffff:a9fe:a9fe]',
  '[::a9fe:a9fe]',
  '[64:ff9b::a9fe:a9fe]',
  '[2002:a9fe:a9fe::]',
  '100.100.100.200',
  '168.63.129.16',
  '192.0.0.192',
] as const;
const otherSpellings = [
  '10.0.0.1',
  '0xa000001',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '3232235777',
  '100.64.0.1',
  '100.100.100.100',
  '[fc00::1]',
  '[fd7a:115c:a1e0::1]',
  '[fd7a:115c:a1e0::53]',
  '192.0.2.1',
  '198.18.0.1',
  '203.0.113.1',
  '224.0.0.1',
  '255.255.255.255',
  '240.0.0.1',
  '[ff02::1]',
  '[2001:db8::1]',
  '[100::1]',
] as const;

describe('an address that was not written down by the operator', () => {
  test.each([...loopbackSpellings, ...metadataSpellings, ...otherSpellings])('%s', async (host) => {
    const handle = exits();
    const request = requestTo(`http://${host}:9/`, { permission: closed });
    expect(await outcome(handle, request)).toBe('egress_refused');
  });

  test('the list is long enough to mean something', () => {
    const all = [...loopbackSpellings, ...metadataSpellings, ...otherSpellings];
    expect(new Set(all).size).toBeGreaterThanOrEqual(60);
  });
});

describe('an address that was', () => {
  test('is reached', async () => {
    const server = await canary();
    const handle = exits();
    for (const host of ['127.0.0.1', 'localhost', '2130706433']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await outcome(handle, requestTo(`http://${host}:${server.port}/`))).toBe('200 ');
    }
  });

  test('opens nothing that is reachable under another name: metadata only by its own address', async () => {
    const resolve = (): Promise<readonly string[]> => Promise.resolve(['169.254.169.254']);
    const handle = exits({ resolve });
    const named = requestTo('http://metadata.example/', { permission: opened });
    expect(await outcome(handle, named)).toBe('egress_refused');
    const quick = { connectMs: 50, firstByteMs: 50, idleMs: 50, totalMs: 100 };
    const literal = requestTo('http://169.254.169.254:9/', { permission: opened, timeouts: quick });
    expect(await outcome(handle, literal)).not.toBe('egress_refused');
  });

  test.each([
    '0.0.0.0',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '224.0.0.1',
  ])('is refused all the same when nothing of ours can be there: %s', async (host) => {
    const server = await canary();
    expect(await outcome(exits(), requestTo(`http://${host}:${server.port}/`))).toBe(
      'egress_refused',
    );
    expect(server.connections).toBe(0);
  });
});

describe('names', () => {
  test('an answer that changes to loopback is refused on the new connection', async () => {
    const server = await canary();
    const answers = [
      ['192.0.2.80'],
      ['127.0.0.1'],
      ['8.8.8.8', '127.0.0.1'],
      ['127.0.0.1', '8.8.8.8'],
    ];
    const more = [
      ['8.8.8.8', '::1'],
      ['2606:4700::1', '::ffff:127.0.0.1'],
      ['not an address'],
      ['fe80::1%lo'],
    ];
    const script = [...answers, ...more];
    const asked = script.length;
    const handle = exits({ resolve: () => Promise.resolve(script.shift() ?? []) });
    for (let index = 0; index < asked; index += 1) {
      const request = requestTo(`http://rebind.example:${server.port}/`, { permission: closed });
      // oxlint-disable-next-line no-await-in-loop -- one answer for each call
      expect(await outcome(handle, request)).toBe('egress_refused');
    }
    expect(script).toEqual([]);
    expect(server.connections).toBe(0);
  });

  test('the connection goes to the address that was checked, asked for once', async () => {
    const server = await canary();
    let asked = 0;
    const handle = exits({
      resolve: (hostname) => {
        asked += 1;
        return Promise.resolve(hostname === 'model.example' ? ['127.0.0.1'] : []);
      },
    });
    const url = `http://model.example:${server.port}/v1?x=1`;
    expect(await outcome(handle, requestTo(url))).toBe('200 ');
    expect(asked).toBe(1);
    expect(server.received).toMatch(/^POST \/v1\?x=1 HTTP\/1.1\r\nhost: model.example:\d+\r\n/i);
  });

  test('a chain of aliases ends in addresses, and those are what is judged', async () => {
    const server = await canary();
    // As the system resolver reports a CNAME that leads to an internal name.
    const handle = exits({ resolve: () => Promise.resolve(['10.0.0.7']) });
    const request = requestTo(`http://alias.example:${server.port}/`, { permission: closed });
    expect(await outcome(handle, request)).toBe('egress_refused');
  });

  test('a name without addresses, a failing resolver and a flood of addresses are no way out', async () => {
    const flood = Array.from({ length: 500 }, (_, index) => `8.8.${index % 250}.1`);
    const handle = exits({
      resolve: (hostname) => {
        if (hostname === 'fails.example') return Promise.reject(new Error('SERVFAIL'));
        return Promise.resolve(hostname === 'flood.example' ? flood : []);
      },
    });
    for (const name of ['empty.example', 'fails.example', 'flood.example']) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      expect(await outcome(handle, requestTo(`http://${name}/`))).toBe('upstream_unavailable');
    }
  });

  test('permission of one call is not lent to another by a shared connection', async () => {
    const server = await canary();
    const handle = exits();
    const url = `http://127.0.0.1:${server.port}/`;
    expect(await outcome(handle, requestTo(url, { permission: opened }))).toBe('200 ');
    expect(await outcome(handle, requestTo(url, { permission: closed }))).toBe('egress_refused');
    expect(server.connections).toBe(1);
  });
});

describe('tricks with the text of an address', () => {
  test.each([
    ['http://user@{host}/'],
    ['http://user:password@{host}/'],
    ['http://:password@{host}/'],
    ['http://good.example@{host}/'],
    ['ftp://{host}/'],
    ['file:///etc/passwd'],
    ['data:text/plain,x'],
    ['ws://{host}/'],
    ['http://127.0.0.1:0/'],
  ])('%s is refused', async (text) => {
    const server = await canary();
    const url = text.replace('{host}', `127.0.0.1:${server.port}`);
    expect(await outcome(exits(), requestTo(url))).toBe('egress_refused');
    expect(server.connections).toBe(0);
  });

  test.each([
    ['http://api.good.example.evil.example/', 'api.good.example.evil.example'],
    ['http://evil.example\\@good.example/', 'evil.example'],
    ['http://evil.example#@good.example/', 'evil.example'],
    ['http://evil.example?@good.example/', 'evil.example'],
    ['http://GOOD.example./', 'good.example.'],
  ])('%s asks for exactly the host that the URL standard reads in it', async (text, host) => {
    const asked: string[] = [];
    const handle = exits({
      resolve: (hostname) => {
        asked.push(hostname);
        return Promise.resolve(['10.0.0.1']);
      },
    });
    expect(await outcome(handle, requestTo(text, { permission: closed }))).toBe('egress_refused');
    expect(asked).toEqual([host]);
  });
});

describe('redirects', () => {
  test.each([300, 301, 302, 303, 307, 308])('%i is an answer', async (status) => {
    const trap = await canary();
    const target = `http://127.0.0.1:${trap.port}/`;
    const server = await upstream((socket) => {
      socket.end(`HTTP/1.1 ${status} X\r\nlocation: ${target}\r\ncontent-length: 0\r\n\r\n`);
    });
    const result = await exits().egress(requestTo(`http://127.0.0.1:${server.port}/`));
    expect(result).toMatchObject({ ok: true, value: { status, headers: { location: target } } });
    expect(trap.connections).toBe(0);
    expect(trap.received).toBe('');
  });
});

describe('proxies of the environment', () => {
  const names = [
    'HTTP_PROXY',
    'http_proxy',
    'HTTPS_PROXY',
    'https_proxy',
    'ALL_PROXY',
    'NODE_USE_ENV_PROXY',
  ];
  const before = names.map((name) => [name, process.env[name]] as const);

  afterAll(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  test('are not asked', async () => {
    const proxy = await canary();
    const server = await canary();
    for (const name of names)
      process.env[name] = name.startsWith('NODE') ? '1' : `http://127.0.0.1:${proxy.port}`;
    expect(await outcome(exits(), requestTo(`http://127.0.0.1:${server.port}/`))).toBe('200 ');
    expect(proxy.connections).toBe(0);
    expect(server.connections).toBe(1);
  });
});

describe('certificates', () => {
  let authority: TestCertificate;
  let stranger: TestCertificate;
  beforeAll(() => {
    authority = makeCertificate({ name: 'authority', subjects: [] });
    stranger = makeCertificate({ name: 'stranger', subjects: [] });
  });

  async function tlsUpstream(certificate: TestCertificate, versions: object = {}) {
    let requests = '';
    const server = createTlsServer(
      { cert: certificate.certificatePem, key: certificate.keyPem, ...versions },
      (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (bytes) => {
          requests += bytes.toString();
          socket.write(
            `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${socket.getProtocol()?.slice(-1)}!`,
          );
        });
      },
    );
    server.on('tlsClientError', () => undefined);
    const counted = await listen(server);
    return { port: counted.port, requests: () => requests };
  }

  const resolve = (): Promise<readonly string[]> => Promise.resolve(['127.0.0.1']);
  const hour = 3_600_000;
  const bad = {
    'self-signed': () => makeCertificate({ name: 'model.example', subjects: ['model.example'] }),
    expired: () =>
      makeCertificate({
        name: 'model.example',
        subjects: ['model.example'],
        issuer: authority,
        notBeforeMs: Date.now() - 2 * hour,
        notAfterMs: Date.now() - hour,
      }),
    'not yet valid': () =>
      makeCertificate({
        name: 'model.example',
        subjects: ['model.example'],
        issuer: authority,
        notBeforeMs: Date.now() + hour,
      }),
    'for another host': () =>
      makeCertificate({ name: 'model.example', subjects: ['other.example'], issuer: authority }),
    'with the name in the subject only': () =>
      makeCertificate({ name: 'model.example', subjects: ['10.0.0.1'], issuer: authority }),
    'of a stranger': () =>
      makeCertificate({ name: 'model.example', subjects: ['model.example'], issuer: stranger }),
    'for a deeper wildcard': () =>
      makeCertificate({ name: 'x', subjects: ['*.model.example'], issuer: authority }),
  } as const;

  test.each(Object.entries(bad))('%s: not one byte of the request is sent', async (_how, make) => {
    const server = await tlsUpstream(make());
    const handle = exits({ resolve });
    const url = `https://model.example:${server.port}/`;
    const request = requestTo(url, { caPem: authority.certificatePem });
    const result = await handle.egress(request);
    expect(result).toMatchObject({ ok: false, error: { code: 'upstream_unavailable' } });
    expect(result.ok ? '' : result.error.message).toContain('certificate');
    expect(server.requests()).toBe('');
  });

  test('the environment cannot switch the check off', async () => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    try {
      const server = await tlsUpstream(bad['self-signed']());
      const url = `https://model.example:${server.port}/`;
      expect(await outcome(exits({ resolve }), requestTo(url))).toBe('upstream_unavailable');
      expect(server.requests()).toBe('');
    } finally {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    }
  });

  test('a good one is accepted by name and by address, over 1.3 and 1.2, and not below', async () => {
    const named = makeCertificate({ name: 'm', subjects: ['model.example'], issuer: authority });
    const addressed = makeCertificate({ name: 'a', subjects: ['127.0.0.1'], issuer: authority });
    const caPem = authority.certificatePem;
    const handle = exits({ resolve });
    const modern = await tlsUpstream(named);
    const url = `https://model.example:${modern.port}/`;
    expect(await outcome(handle, requestTo(url, { caPem }))).toBe('200 3!');
    expect(modern.requests()).toMatch(/host: model\.example/i);
    const dotted = `https://model.example.:${modern.port}/`;
    expect(await outcome(handle, requestTo(dotted, { caPem }))).toBe('200 3!');
    const older = await tlsUpstream(named, { maxVersion: 'TLSv1.2' });
    expect(
      await outcome(handle, requestTo(`https://model.example:${older.port}/`, { caPem })),
    ).toBe('200 2!');
    const literal = await tlsUpstream(addressed);
    expect(await outcome(handle, requestTo(`https://127.0.0.1:${literal.port}/`, { caPem }))).toBe(
      '200 3!',
    );
    const old = await tlsUpstream(named, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL:@SECLEVEL=0',
    });
    expect(await outcome(handle, requestTo(`https://model.example:${old.port}/`, { caPem }))).toBe(
      'upstream_unavailable',
    );
  });

  test('an authority of one provider is not one of another', async () => {
    const named = makeCertificate({ name: 'm', subjects: ['model.example'], issuer: authority });
    const server = await tlsUpstream(named);
    const handle = exits({ resolve });
    const url = `https://model.example:${server.port}/`;
    expect(await outcome(handle, requestTo(url, { caPem: authority.certificatePem }))).toBe(
      '200 3!',
    );
    expect(await outcome(handle, requestTo(url))).toBe('upstream_unavailable');
    expect(await outcome(handle, requestTo(url, { caPem: stranger.certificatePem }))).toBe(
      'upstream_unavailable',
    );
  });
});

import { rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import path from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, expect, test } from 'vitest';
import type { TestGateway } from '../conformance/gateway.ts';
import { everyKey, keysAsTags, startGateway } from '../conformance/gateway.ts';
import { startScriptedUpstream } from '../fakes/scripted-upstream.ts';
import { makeCertificate } from '../harness/http-framing/certificate.ts';
import { newFolder, until } from './process.ts';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function start(
  config: Record<string, unknown>,
  env: Record<string, string> = {},
): Promise<TestGateway> {
  const gate = await startGateway({ config, env, policy: everyKey });
  closers.push(() => gate.stop());
  return gate;
}

/** The name on the certificate that a listener shows now. */
function shownName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

test('the public edge shows a renewed certificate, and keeps the old one while a pair does not fit', async () => {
  const folder = await newFolder();
  const certificateFile = path.join(folder, 'edge.crt');
  const keyFile = path.join(folder, 'edge.key');
  const pair = (name: string) => makeCertificate({ name, subjects: ['edge.example'] });
  const put = async (file: string, text: string): Promise<void> => {
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  };
  const first = pair('first');
  await put(certificateFile, first.certificatePem);
  await put(keyFile, first.keyPem);
  const gate = await start({
    publicEdge: {
      address: '127.0.0.1:0',
      hosts: ['edge.example'],
      tls: { certificateFile, keyFile },
    },
  });
  const port = Number(gate.address('public').split(':').at(-1));
  expect(await shownName(port)).toBe('first');
  const second = pair('second');
  await put(certificateFile, second.certificatePem);
  const line = await gate.logged(({ msg }) => msg === 'certificate not usable; the old one stays');
  expect(line).toMatchObject({ level: 'warn', certificate: certificateFile });
  expect(await shownName(port)).toBe('first');
  await put(keyFile, second.keyPem);
  await until(async () => (await shownName(port)) === 'second');
  await writeFile(certificateFile, 'no certificate');
  await until(
    () =>
      gate.log.filter(({ msg }) => msg === 'certificate not usable; the old one stays').length > 1,
  );
  expect(await shownName(port)).toBe('second');
});

function send(port: number, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (text += piece));
    socket.on('error', reject);
    socket.on('close', () => resolve(text));
  });
}

test('what the listener refuses is in the log: one line each, then counted', async () => {
  const gate = await start({});
  const refused = () => gate.log.filter(({ msg }) => msg === 'request');
  const requests = [
    ['GARBAGE\r\n\r\n', 400, 'malformed_http'],
    [`GET /${'x'.repeat(9_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, 414, 'uri_too_long'],
    [
      `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(40_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    ['GET /a?key=canary HTTP/1.1\r\nHost: evil.example\r\n\r\n', 403, 'host_not_allowed'],
    [
      'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      400,
      'malformed_http',
    ],
  ] as const;
  for (const [bytes, status, code] of requests) {
    const before = refused().length;
    expect(await send(gate.port, bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    await until(() => refused().length === before + 1);
    expect(refused().at(-1)).toMatchObject({
      listener: 'gateway',
      status,
      error: code,
      outcome: 'refused',
      client: '127.0.0.1',
      request_id: expect.any(String),
    });
  }
  expect(refused()[3]).toMatchObject({ method: 'GET', path: 'sha256:6a50dc8584134c7d' });
  expect(JSON.stringify(gate.log)).not.toContain('canary');

  await Promise.all(
    Array.from({ length: 100 }, () =>
      send(gate.port, 'GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n'),
    ),
  );
  expect(refused()).toHaveLength(60);
  await gate.stop();
  const counted = refused().slice(60);
  expect(counted).toHaveLength(1);
  expect(counted[0]).toMatchObject({ error: 'host_not_allowed', client: '127.0.0.1', count: 45 });
});

test('secrets from a variable, a file and a systemd credential reach the provider, rotated without a restart', async () => {
  const upstream = await startScriptedUpstream();
  closers.push(() => upstream.close());
  const folder = await newFolder();
  const file = path.join(folder, 'key');
  const credential = path.join(folder, 'api');
  await writeFile(file, 'file-1\n');
  await writeFile(credential, 'credential-1');
  const provider = (key: Record<string, string>) => ({
    kind: 'openai',
    baseUrl: `${upstream.url}/v1`,
    models: ['a'],
    key,
  });
  const gate = await start(
    {
      providers: {
        e: provider({ env: 'MY_KEY' }),
        f: provider({ file }),
        c: provider({ credential: 'api' }),
      },
      identities: keysAsTags(),
    },
    { MY_KEY: 'env-1', CREDENTIALS_DIRECTORY: folder },
  );
  const key = await gate.key('k');
  const sentFor = async (model: string): Promise<string | undefined> => {
    upstream.expect({
      pieces: [
        '{"choices":[{"message":{"role":"assistant","content":"y"},"finish_reason":"stop"}]}',
      ],
    });
    const answer = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'x' }] }),
    });
    expect(answer.status).toBe(200);
    return upstream.received.at(-1)?.headers.find(([name]) => name === 'authorization')?.[1];
  };
  expect(await sentFor('e/a')).toBe('Bearer env-1');
  expect(await sentFor('f/a')).toBe('Bearer file-1');
  expect(await sentFor('c/a')).toBe('Bearer credential-1');
  await writeFile(`${file}.new`, 'file-2\n');
  await rename(`${file}.new`, file);
  await writeFile(credential, 'credential-2');
  await until(async () => (await sentFor('f/a')) === 'Bearer file-2');
  await until(async () => (await sentFor('c/a')) === 'Bearer credential-2');
  // A secret that is gone is the gateway's fault, and said so without it.
  await writeFile(`${file}.new`, '');
  await rename(`${file}.new`, file);
  await until(async () => {
    const answer = await fetch(`${gate.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: '{"model":"f/a","messages":[{"role":"user","content":"x"}]}',
    });
    return answer.status === 502 && (await answer.text()).includes('is empty');
  });
  expect(JSON.stringify(gate.log)).not.toMatch(/(?:env|file|credential)-[12]/);
});

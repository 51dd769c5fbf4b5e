import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ok } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import { authoritiesOf } from './authorities.ts';
import { parseProxy, proxyOfEnvironment, wayOf } from './way-out.ts';

const egress = () => Promise.reject(new Error('nothing is called here'));

describe('proxies of the environment', () => {
  const env = {
    HTTPS_PROXY: 'http://proxy.example:3128',
    http_proxy: 'socks5h://[::1]:1080',
    NO_PROXY: 'internal.example, .corp.example:8443,10.0.0.0/8 192.0.2.7 [2001:db8::1]:81',
  };
  const through = (url: string, more: Record<string, string> = {}) => {
    const way = proxyOfEnvironment(new URL(url), { ...env, ...more });
    if (!way.ok) return way.error.code;
    return way.value === undefined
      ? 'direct'
      : `${way.value.kind} ${way.value.hostname}:${way.value.port}`;
  };

  test.each([
    ['https://api.example/v1', 'http proxy.example:3128'],
    ['http://api.example/v1', 'socks5 ::1:1080'],
    ['https://internal.example/', 'direct'],
    ['https://gpu.internal.example/', 'direct'],
    ['https://notinternal.example/', 'http proxy.example:3128'],
    ['https://gpu.corp.example:8443/', 'direct'],
    ['https://gpu.corp.example/', 'http proxy.example:3128'],
    ['https://10.1.2.3/', 'direct'],
    ['https://11.1.2.3/', 'http proxy.example:3128'],
    ['https://192.0.2.7:9/', 'direct'],
    ['http://[2001:db8::1]:81/', 'direct'],
    ['http://[2001:db8::1]/', 'socks5 ::1:1080'],
  ])('lead to %s by: %s', (url, way) => {
    expect(through(url)).toBe(way);
  });

  test('are none for everything, are a refusal where they are no proxy, and ALL_PROXY is the last', () => {
    expect(through('https://api.example/', { no_proxy: '*' })).toBe('direct');
    expect(through('https://api.example/', { https_proxy: 'ftp://x' })).toBe('egress_refused');
    expect(proxyOfEnvironment(new URL('http://a/'), { ALL_PROXY: 'p.example:9' })).toMatchObject(
      ok({ kind: 'http', hostname: 'p.example', port: 9 }),
    );
    expect(proxyOfEnvironment(new URL('http://a/'), {})).toEqual(ok(undefined));
  });
});

test('a proxy has a kind, a place and perhaps credentials; anything else is none', () => {
  expect(parseProxy('socks5h://h')).toEqual({ kind: 'socks5', hostname: 'h', port: 1_080 });
  const named = parseProxy('http://us%40er:p%3Ass@[::1]:81/');
  expect(named).toMatchObject({ hostname: '::1', port: 81, credentials: { user: 'us@er' } });
  expect(named?.credentials?.password.reveal()).toBe('p:ss');
  expect(JSON.stringify(named)).not.toContain('p:ss');
  for (const text of [
    'socks5://h:1',
    'https://h:1',
    'h:1',
    '',
    'http://',
    'http://%ff@h:1',
    'http://h:0',
  ])
    expect(parseProxy(text), text).toBeUndefined();
});

test('a way with credentials reads its password afresh', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-way-'));
  const file = path.join(dir, 'password');
  await writeFile(file, 'one\n', { mode: 0o600 });
  const via = { url: 'http://p.example:1', user: 'u', password: { file } };
  const way = wayOf(via, { env: {}, nowMs: () => Date.now(), egress });
  const read = async () => {
    const found = await way?.(new URL('https://x/'));
    return found?.ok === true ? found.value?.credentials?.password.reveal() : undefined;
  };
  expect(await read()).toBe('one');
  expect(wayOf('direct', { env: {}, nowMs: () => 0, egress })).toBeUndefined();
  await rm(dir, { recursive: true });
});

test('authorities are read again when their file changes, and the last good ones stay', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-ca-'));
  const file = path.join(dir, 'ca.pem');
  const pem = (name: string): string =>
    `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----\n`;
  let nowMs = 0;
  expect(await authoritiesOf(file, () => nowMs)).toMatchObject({ ok: false });
  await writeFile(file, pem('one'));
  const made = await authoritiesOf(file, () => nowMs);
  const read = made.ok ? made.value : undefined;
  expect(await read?.()).toBe(pem('one'));
  await writeFile(`${file}.new`, pem('another'));
  await rename(`${file}.new`, file);
  expect(await read?.()).toBe(pem('one'));
  nowMs += 1_000;
  expect(await read?.()).toBe(pem('another'));
  await writeFile(file, 'half a file');
  nowMs += 1_000;
  expect(await read?.()).toBe(pem('another'));
  await rm(file);
  nowMs += 1_000;
  expect(await read?.()).toBe(pem('another'));
  await writeFile(file, pem('third'));
  nowMs += 1_000;
  expect(await read?.()).toBe(pem('third'));
  await rm(dir, { recursive: true });
});

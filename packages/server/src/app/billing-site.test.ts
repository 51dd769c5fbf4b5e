import { parseConfig } from '@postern/core/contract';
import { openPriceBook } from '@postern/core/price';
import { priceSnapshot } from '@postern/core/price/snapshot';
import { expect, test } from 'vitest';
import { Tariffs } from '../gateway/money/index.ts';
import { billingSites } from './billing-site.ts';

const gpu = { kind: 'openai', baseUrl: 'http://gpu:11434/v1' };

function world(
  addresses: readonly string[] = ['172.18.0.3'],
  env: Readonly<Record<string, string>> = {},
) {
  const parsed = parseConfig({
    providers: {
      ollama: { kind: 'openai', baseUrl: 'http://ollama:11434/v1' },
      literal: { kind: 'openai', baseUrl: 'http://10.0.0.7:8000/v1' },
      vendor: { kind: 'openai', baseUrl: 'https://api.openai.com/v1' },
      behind: { ...gpu, via: 'socks5h://127.0.0.1:1055' },
      'behind-password': {
        ...gpu,
        via: { url: 'http://127.0.0.1:3128', user: 'u', password: { env: 'P' } },
      },
      'vendor-behind': {
        kind: 'openai',
        baseUrl: 'https://api.openai.com/v1',
        via: 'socks5h://127.0.0.1:1055',
      },
      'literal-behind': { ...gpu, baseUrl: 'http://10.0.0.7/v1', via: 'socks5h://127.0.0.1:1055' },
      'by-environment': { ...gpu, via: 'environment' },
    },
  });
  if ('issues' in parsed) throw new Error(JSON.stringify(parsed));
  const resolver = { isDown: true, asked: 0, nowMs: 1_000_000 };
  const site = billingSites(parsed.config, {
    nowMs: () => resolver.nowMs,
    env,
    addressesOf: () => {
      resolver.asked += 1;
      return resolver.isDown
        ? Promise.reject(new Error('getaddrinfo EAI_AGAIN ollama'))
        : Promise.resolve(addresses);
    },
  });
  const tariffs = (target?: string) =>
    new Tariffs({
      book: () =>
        Promise.resolve(
          openPriceBook(
            priceSnapshot,
            target === undefined ? [] : [{ target, price: { rates: { input: 7, output: 7 } } }],
          ),
        ),
      site,
      hasOverrides: target !== undefined,
      unknown: 'refuse',
      nowMs: () => resolver.nowMs,
    });
  return { resolver, site, tariffs };
}

test('who needs no name resolved is known at once', () => {
  const { site, resolver } = world();
  expect(site('literal')).toEqual({ kind: 'self-hosted' });
  expect(site('vendor')).toEqual({ kind: 'vendor', vendor: 'openai' });
  expect(resolver.asked).toBe(0);
});

test('a name that does not resolve is asked for again a second later, once for all who wait', async () => {
  const { site, resolver } = world();
  expect(await Promise.all([site('ollama'), site('ollama')])).toEqual([undefined, undefined]);
  expect(resolver.asked).toBe(1);
  resolver.isDown = false;
  expect(await site('ollama')).toBeUndefined();
  resolver.nowMs += 1_000;
  expect(await site('ollama')).toEqual({ kind: 'self-hosted' });
  resolver.nowMs += 299_000;
  expect(await site('ollama')).toEqual({ kind: 'self-hosted' });
  expect(resolver.asked).toBe(2);
});

test('a name with a public address is somebody’s whose prices nobody knows', async () => {
  const { site, resolver } = world(['203.0.113.9']);
  resolver.isDown = false;
  expect(await site('ollama')).toEqual({ kind: 'unlisted' });
});

test('no price is remembered of who cannot be found', async () => {
  const { tariffs, resolver } = world();
  const prices = tariffs();
  expect(await prices.of('ollama', 'llama3')).toEqual({ kind: 'unresolved' });
  resolver.isDown = false;
  resolver.nowMs += 1_000;
  expect(await prices.of('ollama', 'llama3')).toEqual({ kind: 'free' });
});

test('what the operator states needs no address', async () => {
  const { tariffs } = world();
  expect(await tariffs('ollama/llama3').of('ollama', 'llama3')).toMatchObject({ kind: 'priced' });
  expect(await tariffs('ollama/llama3').of('ollama', 'other')).toEqual({ kind: 'unresolved' });
});

test('the name of a server behind a proxy is the proxy’s to resolve: nobody asks here, and it is free only if its address says so', async () => {
  const { site, tariffs, resolver } = world();
  for (const provider of ['behind', 'behind-password'])
    expect(site(provider)).toEqual({ kind: 'unlisted' });
  expect(site('vendor-behind')).toEqual({ kind: 'vendor', vendor: 'openai' });
  expect(site('literal-behind')).toEqual({ kind: 'self-hosted' });
  expect(resolver.asked).toBe(0);
  expect(await tariffs().of('behind', 'llama3')).toEqual({ kind: 'unknown' });
  expect(await tariffs('behind/**').of('behind', 'llama3')).toMatchObject({ kind: 'priced' });
  resolver.isDown = false;
  expect(site('behind')).toEqual({ kind: 'unlisted' });
  expect(resolver.asked).toBe(0);
});

test('a way that the environment names is a proxy where it has one for that address', async () => {
  const http_proxy = 'http://127.0.0.1:3128';
  expect(world([], { http_proxy }).site('by-environment')).toEqual({ kind: 'unlisted' });
  const { site, resolver } = world(['10.0.0.9'], { http_proxy, no_proxy: 'gpu' });
  resolver.isDown = false;
  expect(await site('by-environment')).toEqual({ kind: 'self-hosted' });
  expect(resolver.asked).toBe(1);
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { defaultConfig } from './defaults.ts';
import { configJsonSchema, parseConfig } from './index.ts';

function issuesOf(value: unknown): readonly string[] {
  const parsed = parseConfig(value);
  return 'issues' in parsed
    ? parsed.issues.map(({ pointer, message }) => `${pointer}: ${message}`)
    : [];
}

test('an empty file is the default configuration', () => {
  expect(parseConfig({})).toEqual({ config: defaultConfig });
});

describe('a configuration is refused where it', () => {
  test.each([
    ['has a key that nobody knows', { limit: {} }, /^\/limit: there is no such key here/],
    [
      'misspells a key deep inside',
      { providers: { a: { kind: 'openai', baseURL: 'http://x/v1' } } },
      /^\/providers\/a\/baseURL: there is no such key/,
    ],
    [
      'names no kind of provider',
      { providers: { a: { baseUrl: 'http://x/v1' } } },
      /^\/providers\/a\/kind/,
    ],
    [
      'puts a secret into the file',
      { providers: { a: { kind: 'openai', key: 'sk-123' } } },
      /^\/providers\/a\/key/,
    ],
    [
      'gives a file: address',
      { providers: { a: { kind: 'openai', baseUrl: 'file:///etc/passwd' } } },
      /^\/providers\/a\/baseUrl/,
    ],
    [
      'points an alias at no provider',
      { aliases: { instant: ['nope/model'] } },
      /there is no provider "nope"/,
    ],
    [
      'points an alias at a bare model',
      { aliases: { instant: ['model'] } },
      /needs the form provider\/model/,
    ],
    [
      'names an alias like a provider',
      { providers: { a: { kind: 'openai' } }, aliases: { a: ['a/m'] } },
      /cannot have the name of a provider/,
    ],
    [
      'maps an issuer that is not configured',
      { identities: { map: [{ issuer: 'https://x', claim: 'sub', as: [] }] } },
      /no such issuer/,
    ],
    [
      'takes HS256 with published keys',
      {
        identities: {
          issuers: [
            { issuer: 'i', audience: ['a'], algorithms: ['HS256'], jwksUrl: 'https://x/jwks' },
          ],
        },
      },
      /HS256 goes with `secret`/,
    ],
    [
      'takes HS256 beside others',
      {
        identities: {
          issuers: [
            { issuer: 'i', audience: ['a'], algorithms: ['HS256', 'RS256'], secret: { env: 'S' } },
          ],
        },
      },
      /stands alone/,
    ],
    [
      'names no keys of an issuer',
      { identities: { issuers: [{ issuer: 'i', audience: ['a'], algorithms: ['RS256'] }] } },
      /exactly one of/,
    ],
    [
      'names no audience',
      {
        identities: {
          issuers: [{ issuer: 'i', audience: [], algorithms: ['RS256'], jwksFile: 'f' }],
        },
      },
      /audience/,
    ],
    [
      'puts the edge behind an unknown balancer',
      { publicEdge: { address: ':443', hosts: ['x'], tls: 'balancer' } },
      /trustedProxies must name it/,
    ],
    ['has a limit beyond its range', { limits: { bodyBytes: 1 } }, /^\/limits\/bodyBytes/],
    [
      'has a budget without a period',
      { budgets: { research: { usd: '10.00' } } },
      /^\/budgets\/research\/every/,
    ],
    [
      'gives money with too many decimals',
      { budgets: { research: { usd: '1.0000000001', every: 'day' } } },
      /^\/budgets\/research\/usd/,
    ],
    [
      'misspells a part of a budget',
      { budgets: { research: { usd: 1, every: 'day', pre: 'user' } } },
      /^\/budgets\/research\/pre: there is no such key/,
    ],
    [
      'names a limit that limits nothing',
      { limits: { named: { chat: { per: 'user' } } } },
      /needs one of requestsPerMinute/,
    ],
    [
      'matches a budget with something that is no selector',
      { budgets: { research: { usd: 1, every: 'day', match: ['alice'] } } },
      /^\/budgets\/research\/match\/0/,
    ],
    [
      'still has the access table of earlier releases',
      { access: [{ who: ['local'], models: ['**'] }] },
      /^\/access: there is no such key here/,
    ],
    [
      'protects a path without ports',
      { policy: { protect: { paths: [{ name: 'ssh', from: ['a@b'], to: ['tag:c'] }] } } },
      /^\/policy\/protect\/paths\/0\/ports/,
    ],
    [
      'maps the local operator to nothing',
      { identities: { map: [{ local: true, as: [] }] } },
      /^\/identities\/map\/0/,
    ],
    ['is no object', [], /expected object/],
  ])('%s', (_, value, message) => {
    expect(issuesOf(value).join('\n')).toMatch(message);
  });
});

test('any value is parsed or refused, never thrown at', () => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      fc.constantFrom(
        'providers',
        'aliases',
        'listeners',
        'identities',
        'policy',
        'limits',
        'budgets',
        'publicEdge',
      ),
      (value, key) => {
        const parsed = parseConfig({ [key]: value });
        return 'config' in parsed || parsed.issues.length > 0;
      },
    ),
  );
});

test('the published schema names every top-level key', () => {
  const schema = configJsonSchema() as { readonly properties: object };
  expect(Object.keys(schema.properties).toSorted()).toEqual([
    '$schema',
    'alerts',
    'aliases',
    'audit',
    'budgets',
    'defaultModel',
    'engine',
    'identities',
    'limits',
    'listeners',
    'mcp',
    'mesh',
    'policy',
    'prices',
    'providers',
    'publicEdge',
    'registry',
    'routed',
    'store',
    'telemetry',
    'trustLoopback',
    'trustedProxies',
  ]);
});

test('networks of the registry are prefixes', () => {
  const issuesOf = (networks: readonly string[]): unknown =>
    parseConfig({ registry: { networks } });
  expect(issuesOf(['10.0.0.0/8', 'fd00::/8'])).not.toHaveProperty('issues');
  for (const text of ['10.0.0.0', '10.0.0.0/33', '010.0.0.0/8', 'all'])
    expect(issuesOf([text])).toMatchObject({ issues: [{ pointer: '/registry/networks/0' }] });
});

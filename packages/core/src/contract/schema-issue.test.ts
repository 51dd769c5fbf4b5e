import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAppraisal } from './appraisal/index.ts';
import { parseConfig } from './index.ts';

function said(value: unknown): readonly string[] {
  const parsed = parseConfig(value);
  return 'issues' in parsed
    ? parsed.issues.map(({ pointer, message }) => `${pointer}: ${message}`)
    : [];
}

describe('what a person reads of a file', () => {
  test('a key that is misspelt: what there is in its place', () => {
    expect(said({ limits: { named: { fair: { requestsPerMin: 5, concurrent: 2 } } } })).toEqual([
      '/limits/named/fair/requestsPerMin: there is no such key here; what there is: concurrent, match, per, requestsPerMinute, tokensPerMinute',
    ]);
  });

  test('only what the kind of a thing has, where it says its kind', () => {
    const [bedrock] = said({ providers: { a: { kind: 'bedrock', regoin: 'eu-west-1' } } });
    expect(bedrock).toContain('/providers/a/regoin: there is no such key here');
    expect(bedrock).toContain(' region');
    expect(bedrock).not.toContain('baseUrl');
  });

  test('names of a price, which are a list and no properties', () => {
    const [wrong] = said({ prices: { 'a/*': { inptu: '1.25', input: '1', output: '10' } } });
    expect(wrong).toContain('/prices/a~1*/inptu: there is no such key here; what there is: cache');
  });

  test('a secret in the file: what goes there, and never the secret', () => {
    const [wrong] = said({ providers: { a: { kind: 'openai', key: 'sk-live-1' } } });
    expect(wrong).toMatch(/^\/providers\/a\/key: expected object; what there is: awsParameter, /);
    expect(wrong).not.toContain('sk-live-1');
  });

  test('the alternative that was meant, where one fits better than the others', () => {
    expect(said({ identities: { map: [{ key: 'ci' }] } })).toEqual([
      '/identities/map/0/as: is missing; expected array. What such a caller is for policy; empty with a claim that is an e-mail: that user.',
    ]);
    const tls = { certFile: 'x', keyFile: 'y' };
    expect(said({ publicEdge: { address: ':443', hosts: ['a'], tls } })).toEqual([
      '/publicEdge/tls/certificateFile: is missing; expected string',
      '/publicEdge/tls/certFile: there is no such key here; what there is: certificateFile, keyFile',
    ]);
  });

  test('all alternatives, where none is nearer', () => {
    expect(said({ identities: { map: [{ keyy: 'ci', as: ['x'] }] } })).toEqual([
      '/identities/map/0: does not fit; what there is: app, as, claim, issuer, key, local, value',
    ]);
    expect(said({ publicEdge: { address: ':443', hosts: ['a'], tls: 'no' } })).toEqual([
      '/publicEdge/tls: expected object or "balancer"; what there is: certificateFile, keyFile',
    ]);
    expect(said({ aliases: { fast: [5] } })).toEqual([
      '/aliases/fast/0: expected string or object',
    ]);
  });

  test('a kind that there is not', () => {
    expect(said({ providers: { a: { kind: 'opnai' } } })).toEqual([
      '/providers/a/kind: expected one of "openai", "anthropic", "bedrock", "builtin"',
    ]);
  });

  test('what a text should look like, in place of a regular expression', () => {
    expect(said({ listeners: { gateway: { address: '8080x' } } })).toEqual([
      '/listeners/gateway/address: does not fit. `host:port`, `[v6]:port`, `:port` (all addresses) or `port` (both loopback addresses).',
    ]);
  });

  test('the whole file of another kind', () => {
    expect(said([])).toEqual([': expected object, received array']);
  });

  test('an appraisal policy in the same words', () => {
    const parsed = parseAppraisal({ clockSkew: 1 });
    expect('issues' in parsed ? parsed.issues : []).toContainEqual({
      pointer: '/clockSkew',
      message: expect.stringMatching(/^there is no such key here; what there is: .*clockSkewMsMax/),
    });
  });
});

test('a value that is put in the wrong place is never repeated', () => {
  const canary = 'canary-7f3a';
  const anywhere = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      fc.constant(canary),
      fc.array(tie('value'), { maxLength: 2 }),
      fc.dictionary(
        fc.constantFrom('key', 'kind', 'map', 'url', 'named', 'tls', 'constructor', '__proto__'),
        tie('value'),
        { maxKeys: 3 },
      ),
    ),
  })).value;
  const top = fc.constantFrom('providers', 'identities', 'publicEdge', 'store', 'limits', 'mesh');
  fc.assert(
    fc.property(top, fc.constantFrom('a', 'gateway', 'map'), anywhere, (section, name, value) => {
      expect(said({ [section]: { [name]: value } }).join('\n')).not.toContain(canary);
    }),
  );
});

import { ipSetOfPrefixes, type Prefix, parsePrefixOrAddr } from '@postern/core/base/netip';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clientAddressOf } from './forwarding.ts';

const prefixes = ['10.0.0.0/8', '192.0.2.7', 'fd00::/8'].flatMap((text): readonly Prefix[] => {
  const parsed = parsePrefixOrAddr(text);
  return parsed.ok ? [parsed.value] : [];
});
const trusted = ipSetOfPrefixes(prefixes);

function client(
  peer: string | undefined,
  xForwardedFor?: string,
  forwarded?: string,
  xRealIp?: string,
) {
  return clientAddressOf(peer, { xForwardedFor, forwarded, xRealIp }, trusted);
}

describe('the client behind trusted proxies is the rightmost hop that is none of them', () => {
  test.each([
    ['10.1.1.1', '198.51.100.9', '198.51.100.9'],
    ['10.1.1.1', '1.1.1.1, 198.51.100.9', '198.51.100.9'],
    ['10.1.1.1', '1.1.1.1, 198.51.100.9, 10.2.2.2', '198.51.100.9'],
    ['10.1.1.1', '198.51.100.9:4711', '198.51.100.9'],
    ['10.1.1.1', '[2001:db8::1]:4711', '2001:db8::1'],
    ['10.1.1.1', '2001:db8::1', '2001:db8::1'],
    ['fd00::1', '[2001:db8::1]', '2001:db8::1'],
    ['::ffff:10.1.1.1', '198.51.100.9', '198.51.100.9'],
    ['10.1.1.1', '::ffff:198.51.100.9', '198.51.100.9'],
    ['10.1.1.1', '10.2.2.2, 10.3.3.3', '10.2.2.2'],
    ['10.1.1.1', 'unknown', '10.1.1.1'],
    ['10.1.1.1', '198.51.100.9, garbage', '10.1.1.1'],
    ['10.1.1.1', '198.51.100.9, garbage, 10.2.2.2', '10.2.2.2'],
    ['10.1.1.1', '198.51.100.9,', '10.1.1.1'],
    ['10.1.1.1', '127.1, 010.0.0.1', '10.1.1.1'],
    ['10.1.1.1', '', '10.1.1.1'],
    ['10.1.1.1', undefined, '10.1.1.1'],
    ['203.0.113.5', '198.51.100.9', '203.0.113.5'],
    ['203.0.113.5', '10.1.1.1', '203.0.113.5'],
  ])('peer %s with X-Forwarded-For %s is %s', (peer, chain, expected) => {
    expect(client(peer, chain)).toBe(expected);
  });

  test.each([
    ['for=198.51.100.9', '198.51.100.9'],
    ['for="198.51.100.9:47011";proto=http', '198.51.100.9'],
    ['by=10.0.0.1;for="[2001:db8::17]:4711"', '2001:db8::17'],
    ['for=1.1.1.1, for=198.51.100.9, for=10.9.9.9', '198.51.100.9'],
    ['for=_hidden', '10.1.1.1'],
    ['proto=http', '10.1.1.1'],
  ])('Forwarded %s is %s', (value, expected) => {
    expect(client('10.1.1.1', undefined, value)).toBe(expected);
  });

  test('headers that disagree count for nothing', () => {
    expect(client('10.1.1.1', '198.51.100.9', 'for=198.51.100.9', '198.51.100.9')).toBe(
      '198.51.100.9',
    );
    expect(client('10.1.1.1', '198.51.100.9', undefined, '1.1.1.1')).toBe('10.1.1.1');
    expect(client('10.1.1.1', '198.51.100.9', 'for=1.1.1.1')).toBe('10.1.1.1');
  });

  test('a unix socket has no client address', () => {
    expect(client(undefined, '198.51.100.9')).toBeUndefined();
  });

  test('an untrusted peer is itself whatever it writes', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, two) => {
        expect(client('203.0.113.5', one, two, one)).toBe('203.0.113.5');
      }),
    );
  });
});

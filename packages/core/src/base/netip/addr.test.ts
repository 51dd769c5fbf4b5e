import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Addr } from './index.ts';
import * as netip from './index.ts';

function addr(text: string): Addr {
  const parsed = netip.parseAddr(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function refusal(text: string): string {
  const parsed = netip.parseAddr(text);
  return parsed.ok ? `accepted as ${netip.formatAddr(parsed.value)}` : parsed.error;
}

describe('parseAddr', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['192.168.140.255', '192.168.140.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['fd7a:115c:a1e0:ab12:4843:cd96:626b:430b', 'fd7a:115c:a1e0:ab12:4843:cd96:626b:430b'],
    ['FD7A:115C:A1E0::53', 'fd7a:115c:a1e0::53'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:2:3:4:5:6:192.168.1.2', '1:2:3:4:5:6:c0a8:102'],
    ['::ffff:192.168.140.255', '::ffff:192.168.140.255'],
    ['::ffff:c0a8:8cff', '::ffff:192.168.140.255'],
    ['::192.168.1.2', '::c0a8:102'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['fe80::1%a%b', 'fe80::1%a%b'],
    ['::ffff:1.2.3.4%x', '::ffff:1.2.3.4%x'],
    ['::%x', '::%x'],
  ])('reads %s and prints it as %s', (text, printed) => {
    expect(netip.formatAddr(addr(text))).toBe(printed);
  });

  test.each([
    ['', 'ParseAddr(""): unable to parse IP'],
    ['bad', 'ParseAddr("bad"): unable to parse IP'],
    ['1234', 'ParseAddr("1234"): unable to parse IP'],
    ['0x7f000001', 'ParseAddr("0x7f000001"): unable to parse IP'],
    ['127.1', 'ParseAddr("127.1"): IPv4 address too short'],
    ['1.2.3.4.5', 'ParseAddr("1.2.3.4.5"): IPv4 address too long'],
    ['1.2.3.4.', 'ParseAddr("1.2.3.4."): IPv4 field must have at least one digit (at ".")'],
    ['.1.2.3', 'ParseAddr(".1.2.3"): IPv4 field must have at least one digit (at ".1.2.3")'],
    ['1..2.3', 'ParseAddr("1..2.3"): IPv4 field must have at least one digit (at ".2.3")'],
    ['010.0.0.1', 'ParseAddr("010.0.0.1"): IPv4 field has octet with leading zero'],
    ['1.2.3.00', 'ParseAddr("1.2.3.00"): IPv4 field has octet with leading zero'],
    ['256.0.0.1', 'ParseAddr("256.0.0.1"): IPv4 field has value >255'],
    ['1.2.3.4%eth0', 'ParseAddr("1.2.3.4%eth0"): unexpected character (at "%eth0")'],
    ['1.2.3.4 ', 'ParseAddr("1.2.3.4 "): unexpected character (at " ")'],
    ['１.2.3.4', 'ParseAddr("１.2.3.4"): unexpected character (at "１.2.3.4")'],
    ['%eth0', 'ParseAddr("%eth0"): missing IPv6 address'],
    ['fe80::1%', 'ParseAddr("fe80::1%"): zone must be a non-empty string'],
    [':', 'ParseAddr(":"): each colon-separated field must have at least one digit (at ":")'],
    ['1:', 'ParseAddr("1:"): colon must be followed by more characters (at ":")'],
    [
      '[::1]',
      'ParseAddr("[::1]"): each colon-separated field must have at least one digit (at "[::1]")',
    ],
    ['12345::', 'ParseAddr("12345::"): each group must have 4 or less digits (at "12345::")'],
    ['1::2::3', 'ParseAddr("1::2::3"): multiple :: in address (at ":3")'],
    ['1:2:3:4:5:6:7', 'ParseAddr("1:2:3:4:5:6:7"): address string too short'],
    [
      '1:2:3:4:5:6:7:8:9',
      'ParseAddr("1:2:3:4:5:6:7:8:9"): trailing garbage after address (at "9")',
    ],
    [
      '1:2:3:4::5:6:7:8',
      'ParseAddr("1:2:3:4::5:6:7:8"): the :: must expand to at least one field of zeros',
    ],
    [
      '1:2:3:4:5:6:7:1.2.3.4',
      'ParseAddr("1:2:3:4:5:6:7:1.2.3.4"): embedded IPv4 address must replace the final 2 fields of the address (at "1.2.3.4")',
    ],
    [
      '::2:3:4:5:6:7:8:1.2.3.4',
      'ParseAddr("::2:3:4:5:6:7:8:1.2.3.4"): too many hex fields to fit an embedded IPv4 at the end of the address (at "1.2.3.4")',
    ],
    ['::ffff:1.2.3', 'ParseAddr("::ffff:1.2.3"): IPv4 address too short'],
    ['::ffff:0127.0.0.1', 'ParseAddr("::ffff:0127.0.0.1"): IPv4 field has octet with leading zero'],
    ['::g', 'ParseAddr("::g"): each colon-separated field must have at least one digit (at "g")'],
    ['1:g', 'ParseAddr("1:g"): each colon-separated field must have at least one digit (at "g")'],
    ['1;2:3', 'ParseAddr("1;2:3"): unexpected character, want colon (at ";2:3")'],
  ])('refuses %s with the message of Go', (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test('a text of any length is refused without being looked at for long', () => {
    expect(netip.parseAddr(`::1%${'z'.repeat(100_000)}`).ok).toBe(false);
  });

  test('printing and reading an address gives the same address', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.uint8Array({ minLength: 16, maxLength: 16 }),
        ),
        (bytes) => {
          const value = netip.addrFromBytes(bytes);
          expect(value).toBeDefined();
          if (value === undefined) return;
          expect(addr(netip.formatAddr(value))).toEqual(value);
          expect(netip.addrBytes(value)).toEqual(bytes);
        },
      ),
    );
  });

  test('no text makes the parser throw, and what it accepts has one canonical form', () => {
    const text = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.%/-'.split('')) }),
      fc.ipV6(),
      fc.ipV4(),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        const parsed = netip.parseAddr(candidate);
        if (!parsed.ok) return;
        const printed = netip.formatAddr(parsed.value);
        expect(netip.formatAddr(addr(printed))).toBe(printed);
      }),
    );
  });
});

describe('kinds of addresses', () => {
  const kinds: readonly [string, (a: Addr) => boolean, readonly string[], readonly string[]][] = [
    [
      'isUnspecified',
      netip.isUnspecified,
      ['0.0.0.0', '::'],
      ['::ffff:0.0.0.0', '::%x', '0.0.0.1'],
    ],
    [
      'isLoopback',
      netip.isLoopback,
      ['127.0.0.1', '127.255.0.1', '::1', '::ffff:127.0.0.1', '::1%lo'],
      ['126.0.0.1', '::2', '0.0.0.1'],
    ],
    [
      'isPrivate',
      netip.isPrivate,
      ['10.0.0.1', '172.31.255.255', '192.168.0.1', 'fd00::1', '::ffff:10.1.1.1'],
      ['172.32.0.0', '100.64.0.1', 'fe80::1'],
    ],
    [
      'isLinkLocalUnicast',
      netip.isLinkLocalUnicast,
      ['169.254.169.254', 'fe80::1%eth0', 'febf::1', '::ffff:169.254.1.1'],
      ['169.255.0.0', 'fec0::1'],
    ],
    [
      'isMulticast',
      netip.isMulticast,
      ['224.0.0.1', '239.255.255.255', 'ff05::1', '::ffff:224.0.0.1'],
      ['240.0.0.1', 'fe80::1'],
    ],
    [
      'isLinkLocalMulticast',
      netip.isLinkLocalMulticast,
      ['224.0.0.251', 'ff02::fb', 'ff12::1'],
      ['224.0.1.1', 'ff05::1'],
    ],
    [
      'isInterfaceLocalMulticast',
      netip.isInterfaceLocalMulticast,
      ['ff01::1', 'ff11::1'],
      ['ff02::1', '224.0.0.1'],
    ],
    [
      'isGlobalUnicast',
      netip.isGlobalUnicast,
      ['8.8.8.8', '10.0.0.1', '2001:db8::1', 'fd00::1'],
      ['0.0.0.0', '255.255.255.255', '127.0.0.1', 'ff02::1', 'fe80::1', '::', '::1'],
    ],
    [
      'isCgnat',
      netip.isCgnat,
      ['100.64.0.0', '100.127.255.255'],
      ['100.63.255.255', '100.128.0.0', '::ffff:100.64.0.1'],
    ],
    [
      'isTailscaleAddr',
      netip.isTailscaleAddr,
      ['100.64.0.1', 'fd7a:115c:a1e0::1'],
      ['100.115.92.1', 'fd7a:115c:a1e1::1', '10.0.0.1'],
    ],
    ['is4In6', netip.is4In6, ['::ffff:1.2.3.4', '::ffff:1.2.3.4%x'], ['1.2.3.4', '::1.2.3.4']],
  ];
  test.each(kinds)(
    '%s holds for its own addresses and no others',
    (_name, holds, inside, outside) => {
      expect(inside.filter((text) => !holds(addr(text)))).toEqual([]);
      expect(outside.filter((text) => holds(addr(text)))).toEqual([]);
    },
  );
});

test('an IPv4-mapped address is another address than the IPv4 one until it is unmapped', () => {
  const mapped = addr('::ffff:1.2.3.4%x');
  expect(netip.addrEquals(mapped, addr('1.2.3.4'))).toBe(false);
  expect(netip.addrEquals(netip.unmap(mapped), addr('1.2.3.4'))).toBe(true);
});

test('addresses are in the order of Go: IPv4, then IPv6 by value, then by zone', () => {
  const texts = [
    'fe80::1%b',
    '::',
    '255.255.255.255',
    'fe80::1',
    '0.0.0.0',
    '::ffff:1.2.3.4',
    'fe80::1%a',
  ];
  expect(texts.map(addr).sort(netip.compareAddr).map(netip.formatAddr)).toEqual([
    '0.0.0.0',
    '255.255.255.255',
    '::',
    '::ffff:1.2.3.4',
    'fe80::1',
    'fe80::1%a',
    'fe80::1%b',
  ]);
});

test('the neighbours of an address end at the edges of its family', () => {
  expect(netip.nextAddr(addr('255.255.255.255'))).toBeUndefined();
  expect(netip.prevAddr(addr('::'))).toBeUndefined();
  expect(netip.nextAddr(addr('10.0.0.255'))).toEqual(addr('10.0.1.0'));
  expect(netip.prevAddr(addr('1::'))).toEqual(addr('0:ffff:ffff:ffff:ffff:ffff:ffff:ffff'));
});

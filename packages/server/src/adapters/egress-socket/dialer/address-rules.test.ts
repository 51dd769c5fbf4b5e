import { emptyIpSet, parseAddr } from '@postern/core/base/netip';
import { describe, expect, test } from 'vitest';
import { type AddressClass, classifyAddress, setOf } from './address-rules.ts';

function kindOf(text: string, extra = emptyIpSet): AddressClass | 'unreadable' {
  const parsed = parseAddr(text);
  return parsed.ok ? classifyAddress(parsed.value, extra) : 'unreadable';
}

const kinds: Readonly<Record<AddressClass, readonly string[]>> = {
  public: [
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.1',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2001:4860:4860::8888',
    '2a00::1',
  ],
  internal: [
    '10.0.0.1',
    '10.255.255.255',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.255',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '192.168.255.255',
    '::1',
    'fc00::1',
    'fd7a:115c:a1e0::1',
    'fdff:ffff::1',
    '64:ff9b::808:808',
  ],
  literal: [
    '169.254.0.1',
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    'fe80::1',
    'febf::1',
    'fe80::1%eth0',
    'fd00:ec2::254',
    'fd00:ec2::23',
    'fd20:ce::254',
    '100.100.100.200',
    '100.100.100.100',
    '168.63.129.16',
    '192.0.0.192',
    'fd7a:115c:a1e0::53',
  ],
  never: [
    '0.0.0.0',
    '0.1.2.3',
    '192.0.0.1',
    '192.0.2.1',
    '192.88.99.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::2',
    '::7f00:1',
    '::169.254.169.254',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:a9fe:a9fe',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b::a00:1',
    '64:ff9b:1::a00:1',
    '100::1',
    '2001::1',
    '2001:0:7f00:1::',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::',
    '2002:a9fe:a9fe::',
    '3fff::1',
    '4000::1',
    '5f00::1',
    'fec0::1',
    'ff02::1',
    'ff0e::1',
  ],
};

describe.each(Object.entries(kinds))('%s', (kind, texts) => {
  test.each(texts)('%s', (text) => {
    expect(kindOf(text)).toBe(kind);
  });
});

test('a mesh range in public address space is internal where the configuration says so', () => {
  const mesh = setOf(['100.128.0.0/10']);
  expect(kindOf('100.128.0.9', mesh)).toBe('internal');
  expect(kindOf('100.192.0.0', mesh)).toBe('public');
  expect(kindOf('64:ff9b::6480:9', mesh)).toBe('never');
});

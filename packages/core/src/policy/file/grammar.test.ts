import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatDurationMs, parseDurationMs } from './duration.ts';
import { parseIpSetEntry } from './ipset.ts';
import { formatPorts, parseGrantPorts, parsePorts, splitHostPorts } from './port.ts';
import { parsePostureCondition } from './posture.ts';
import { parseSelector } from './selector.ts';

const at = { pointer: '', line: 0, column: 0 };

describe('selectors', () => {
  test.each([
    ['*', 'any'],
    ['alice@example.com', 'user'],
    ['bob@github', 'user'],
    ['user:*@example.com', 'domain'],
    ['group:dev', 'group'],
    ['tag:ci', 'tag'],
    ['autogroup:member', 'autogroup'],
    ['autogroup:members', 'autogroup'],
    ['ipset:office', 'ipset'],
    ['svc:web', 'service'],
    ['100.64.0.1', 'prefix'],
    ['fd7a:115c:a1e0::/48', 'prefix'],
    ['10.0.0.1/8', 'prefix'],
    ['db-1.example.com', 'host'],
  ])('%s is of kind %s', (text, kind) => {
    const selector = parseSelector(text, at);
    expect(selector.ok && selector.value.kind).toBe(kind);
  });

  test.each([
    '',
    'user:alice@example.com',
    'user:*@',
    'autogroup:nobody',
    '127.1:x',
    '%x%',
    'a b',
    'fe80::1%eth0',
  ])('%j is no selector', (text) => {
    expect(parseSelector(text, at).ok).toBe(false);
  });

  test('an address in a loose notation is a host name at most, never an address', () => {
    const selector = parseSelector('127.1', at);
    expect(selector.ok && selector.value.kind).toBe('host');
  });
});

describe('ports', () => {
  test('print as they were written', () => {
    for (const text of ['*', '22', '80,443', '8000-8100', '1-65535']) {
      const ports = parsePorts(text);
      expect(ports.ok && formatPorts(ports.value)).toBe(text);
    }
  });

  test.each(['', '0', '0-5', '65536', '5-1', '1-', '-1', ' 22', '22 ', '+22', '1e3', '22,,23'])(
    '%j is refused',
    (text) => {
      expect(parsePorts(text).ok).toBe(false);
    },
  );

  test('of a grant take a protocol by name or number', () => {
    expect(parseGrantPorts('udp:53')).toMatchObject({ ok: true, value: { protocol: 17 } });
    expect(parseGrantPorts('6:22')).toMatchObject({ ok: true, value: { protocol: 6 } });
    expect(parseGrantPorts('47')).toMatchObject({ ok: true, value: { protocol: undefined } });
    expect(parseGrantPorts('icmp:*')).toMatchObject({ ok: true, value: { protocol: 1 } });
    expect(parseGrantPorts('icmp:22').ok).toBe(false);
    expect(parseGrantPorts('256:22').ok).toBe(false);
  });

  test('are split off at the last colon, with brackets only around IPv6', () => {
    expect(splitHostPorts('tag:web:22')).toEqual({
      ok: true,
      value: { host: 'tag:web', portsText: '22' },
    });
    expect(splitHostPorts('[::1]:80')).toEqual({
      ok: true,
      value: { host: '::1', portsText: '80' },
    });
    expect(splitHostPorts('[::1]/128:80')).toEqual({
      ok: true,
      value: { host: '::1/128', portsText: '80' },
    });
    expect(splitHostPorts('[10.0.0.1]:80').ok).toBe(false);
    expect(splitHostPorts('[web]:80').ok).toBe(false);
  });

  test('splitting is total', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof splitHostPorts(text).ok === 'boolean'));
  });
});

describe('durations', () => {
  test.each([
    ['168h0m1s', 604_801_000, '168h0m1s'],
    ['-1m', -60_000, '-1m0s'],
    ['1.5h', 5_400_000, '1h30m0s'],
    ['200h', 720_000_000, '200h0m0s'],
    ['0', 0, '0s'],
    ['1h30m', 5_400_000, '1h30m0s'],
    ['500ms', 500, '500ms'],
  ])('%s is %d ms and prints as %s', (text, ms, shown) => {
    expect(parseDurationMs(text)).toEqual({ ok: true, value: ms });
    expect(formatDurationMs(ms)).toBe(shown);
  });

  test.each(['', '1', 'h', '1x', '1h-', '--1h', '1 h', '9999999999999h'])(
    '%j is refused',
    (text) => {
      expect(parseDurationMs(text).ok).toBe(false);
    },
  );
});

describe('posture conditions', () => {
  test.each([
    ["node:os == 'macos'", { key: 'node:os', op: '==', value: 'macos' }],
    ["node:tsVersion>='1.40'", { key: 'node:tsVersion', op: '>=', value: '1.40' }],
    ["node:os in ['macos', 'ios']", { key: 'node:os', op: 'IN', values: ['macos', 'ios'] }],
    ["ip:country NOT IN ['US']", { key: 'ip:country', op: 'NOT IN', values: ['US'] }],
    ['custom:tier < 3', { key: 'custom:tier', op: '<', value: 3 }],
    ['node:tsAutoUpdate == true', { key: 'node:tsAutoUpdate', op: '==', value: true }],
    ['custom:x is set', { key: 'custom:x', op: 'IS SET' }],
    ['custom:x NOT SET', { key: 'custom:x', op: 'NOT SET' }],
  ])('%s', (text, want) => {
    const condition = parsePostureCondition(text, at);
    expect(condition.ok && condition.value).toMatchObject(want);
  });

  test.each([
    "os == 'macos'",
    'node:os',
    "node:os ~ 'macos'",
    "node:os == 'macos",
    'node:os == macos',
    "node:os < 'macos'",
    "node:os IN 'macos'",
    "node:os IN ['a' 'b']",
    'node:os IN []',
    "node:os == 'a' 'b'",
    "custom:x IS SET 'a'",
  ])('%s is refused', (text) => {
    expect(parsePostureCondition(text, at).ok).toBe(false);
  });

  test('reading is total', () => {
    fc.assert(
      fc.property(fc.string(), (text) => typeof parsePostureCondition(text, at).ok === 'boolean'),
    );
  });
});

test('ipset entries name addresses, ranges, hosts, ipsets and the internet', () => {
  for (const text of [
    '10.0.0.1',
    'add 10.0.0.0/8',
    'remove 10.0.0.1-10.0.0.9',
    'host:db',
    'ipset:x',
    'autogroup:internet',
  ]) {
    expect(parseIpSetEntry(text).ok).toBe(true);
  }
  for (const text of ['', 'tag:x', 'add', 'add  ', 'drop 10.0.0.1', '10.0.0.9-10.0.0.1', '*']) {
    expect(parseIpSetEntry(text).ok).toBe(false);
  }
});

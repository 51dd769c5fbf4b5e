import { err, ok } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import { clockIsSet, firewallOf, listeningSockets, nftFacts } from './machine.ts';
import type { Sight } from './sight.ts';

function sightOf(seen: {
  readonly files?: Readonly<Record<string, string>>;
  readonly inodes?: readonly string[];
  readonly programs?: Readonly<Record<string, string>>;
}): Sight {
  const absent = Promise.resolve(err('not there'));
  return {
    readText: (file) => {
      const text = seen.files?.[file];
      return text === undefined ? absent : Promise.resolve(ok(text));
    },
    modesBelow: () => absent,
    ownInodes: () => Promise.resolve(ok(new Set(seen.inodes ?? []))),
    run: ([program]) => {
      const text = seen.programs?.[program];
      return Promise.resolve(text === undefined ? err(`${program}: ENOENT`) : ok(text));
    },
    resolve: () => absent,
    space: () => absent,
    daemon: () => Promise.resolve(ok(undefined)),
  };
}

const head =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
const row = (local: string, state: string, inode: string): string =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  1000 0 ${inode} 1 0 100 0`;

describe('sockets that listen', () => {
  test('are those of this process alone, with their addresses as people write them', async () => {
    const files = {
      '/proc/net/tcp': [
        head,
        row('0100007F:1F90', '0A', '11'),
        row('00000000:01BB', '0A', '12'),
        row('0100007F:0016', '0A', '99'),
        row('0100007F:1F90', '01', '11'),
      ].join('\n'),
      '/proc/net/tcp6': [
        head,
        row('00000000000000000000000001000000:1F91', '0A', '13'),
        row('0000000000000000FFFF00000701A8C0:1F92', '0A', '14'),
      ].join('\n'),
    };
    const found = await listeningSockets(sightOf({ files, inodes: ['11', '12', '13', '14'] }));
    expect(found).toEqual(
      ok([
        { host: '127.0.0.1', port: 8080 },
        { host: '0.0.0.0', port: 443 },
        { host: '::1', port: 8081 },
        { host: '192.168.1.7', port: 8082 },
      ]),
    );
  });

  test('are unknown where the kernel does not tell', async () => {
    expect(await listeningSockets(sightOf({}))).toMatchObject({ ok: false });
  });
});

const chain = (policy: string) => ({
  chain: { family: 'inet', table: 'filter', name: 'input', hook: 'input', prio: 0, policy },
});
const rule = (...expr: readonly object[]) => ({
  rule: { family: 'inet', table: 'filter', chain: 'input', expr },
});
const ruleset = (...items: readonly object[]): string => JSON.stringify({ nftables: items });

describe('the packet filter', () => {
  test.each([
    ['a policy of drop', ruleset(chain('drop')), 'drop'],
    ['no chain at all', ruleset(), 'accept'],
    ['a policy of accept', ruleset(chain('accept')), 'accept'],
    [
      'a last rule that drops everything',
      ruleset(
        chain('accept'),
        rule({ match: {} }, { accept: null }),
        rule({ counter: {} }, { drop: null }),
      ),
      'drop',
    ],
    [
      'a last rule that drops something',
      ruleset(chain('accept'), rule({ match: {} }, { drop: null })),
      'accept',
    ],
  ])('with %s', (_what, text, input) => {
    expect(nftFacts(text)).toEqual(ok({ by: 'nft', input }));
  });

  test('is asked of iptables where there is no nft, and unknown where there is neither', async () => {
    const drop = sightOf({ programs: { iptables: '-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n' } });
    expect(await firewallOf(drop)).toEqual(ok({ by: 'iptables', input: 'drop' }));
    const open = sightOf({ programs: { iptables: '-P INPUT ACCEPT\n' } });
    expect(await firewallOf(open)).toEqual(ok({ by: 'iptables', input: 'accept' }));
    expect(await firewallOf(sightOf({}))).toEqual(err('nft: ENOENT; iptables: ENOENT'));
    expect(nftFacts('x')).toMatchObject({ ok: false });
  });
});

test('the clock is set where something that keeps it says so', async () => {
  const file = '/run/systemd/timesync/synchronized';
  expect(await clockIsSet(sightOf({ files: { [file]: '' } }))).toEqual(ok(true));
  expect(await clockIsSet(sightOf({ programs: { timedatectl: 'no\n' } }))).toEqual(ok(false));
  expect(await clockIsSet(sightOf({ programs: { chronyc: 'C0A80101,x,3,0.0,Normal\n' } }))).toEqual(
    ok(true),
  );
  expect(await clockIsSet(sightOf({}))).toMatchObject({ ok: false });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HandshakeLimit } from '../handshake-limit.ts';
import { coordinationLimits } from '../limits.ts';
import { readHostinfo } from '../protocol/hostinfo.ts';
import { readMapRequest, readRegisterRequest } from '../protocol/requests.ts';
import { fieldsOf } from '../protocol/read.ts';
import { Bits } from './bits.ts';
import type { Machine } from './machine.ts';
import { emptyHostinfo } from './reports.ts';
import { RouteTable } from './route-table.ts';
import { SharedPeers } from './shared-peers.ts';

function machine(number: number, routes: readonly string[], online = true): Machine {
  return {
    slot: number,
    isActive: true,
    online,
    awaySinceMs: undefined,
    peerText: undefined,
    record: {
      id: `n${number}`,
      number,
      machineKey: '',
      nodeKey: '',
      name: `m${number}`,
      isNamed: false,
      tags: [],
      addresses: [],
      approved: true,
      ephemeral: false,
      approvedRoutes: routes,
      createdAtMs: 0,
    },
    report: {
      version: 142,
      discoKey: '',
      endpoints: [],
      derp: 0,
      lastSeenMs: 0,
      hostinfo: { ...emptyHostinfo, routes },
    },
  };
}

test('a set of slots holds what was put in, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(2_000)), fc.array(fc.nat(2_000)), (added, deleted) => {
      const bits = Bits.of(added);
      const model = new Set(added);
      for (const number of deleted) {
        bits.delete(number);
        model.delete(number);
      }
      expect([...bits.numbers()]).toEqual([...model].toSorted((a, b) => a - b));
    }),
  );
});

describe('routes', () => {
  test('of one subnet go to the oldest router that is there, and over when it leaves', () => {
    const table = new RouteTable();
    const first = machine(1, ['10.0.0.0/24']);
    const second = machine(2, ['10.0.0.0/24']);
    table.put(second);
    expect(table.routesOf(second).primaryRoutes).toEqual(['10.0.0.0/24']);
    expect(table.put(first)).toEqual(new Set([1, 2]));
    expect(table.routesOf(second).primaryRoutes).toEqual([]);
    first.online = false;
    expect(table.put(first)).toEqual(new Set([1, 2]));
    expect(table.routesOf(second).primaryRoutes).toEqual(['10.0.0.0/24']);
  });

  test('to the internet are those of every exit node, and need an approval as any other', () => {
    const table = new RouteTable();
    const exit = machine(1, ['0.0.0.0/0', '::/0']);
    table.put(exit);
    expect(table.routesOf(exit)).toEqual({ primaryRoutes: [], exitRoutes: ['0.0.0.0/0', '::/0'] });
    exit.record = { ...exit.record, approvedRoutes: [] };
    table.put(exit);
    expect(table.routesOf(exit).exitRoutes).toEqual([]);
  });
});

describe('what machines send', () => {
  test('is read or not, and never an exception', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (value, hostinfo) => {
        const fields = fieldsOf(value) ?? {};
        const key = `nodekey:${'1'.repeat(64)}`;
        readRegisterRequest({ ...fields, NodeKey: key, Hostinfo: hostinfo });
        readMapRequest({ ...fields, NodeKey: key, Hostinfo: hostinfo });
        const info = readHostinfo(hostinfo);
        if (info !== undefined) JSON.parse(info.peerText);
      }),
    );
  });

  test('of a huge host description peers see the name alone', () => {
    const info = readHostinfo({ Hostname: 'h', OS: 'linux', Services: ['x'.repeat(100_000)] });
    expect(info?.peerText).toBe('{"OS":"linux","Hostname":"h"}');
  });
});

describe('handshakes', () => {
  test('of one source are bounded, of another not, and come back with time', () => {
    const limit = new HandshakeLimit();
    for (let i = 0; i < coordinationLimits.handshakeBurst; i += 1) limit.take('192.0.2.1', 0);
    expect(limit.take('192.0.2.1', 0)).toBe(false);
    expect(limit.take('192.0.2.2', 0)).toBe(true);
    expect(limit.take('192.0.2.1', 1_000)).toBe(true);
  });

  test('of one IPv6 network count together', () => {
    const limit = new HandshakeLimit();
    for (let i = 0; i < coordinationLimits.handshakeBurst; i += 1) {
      limit.take(`2001:db8:1:2:${i.toString(16)}::1`, 0);
    }
    expect(limit.take('2001:db8:1:2:ffff::9', 0)).toBe(false);
    expect(limit.take('2001:db8:1:3::9', 0)).toBe(true);
  });
});

describe('machines that know each other', () => {
  test('are each told of all others, from one text, as long as nothing changed', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(90), { minLength: 1, maxLength: 12 }), (slots) => {
        const machines = new Map(slots.map((slot) => [slot, machine(slot, [])]));
        let made = 0;
        const texts = {
          textsVersion: 1,
          peerText: ({ slot }: Machine): string => {
            made += 1;
            return JSON.stringify({ slot, name: 'ü', version: texts.textsVersion });
          },
          profile: () => ({ ID: 7, LoginName: 'a', DisplayName: 'a' }),
        };
        const shared = new SharedPeers(texts);
        const at = (wanted: Iterable<number>): readonly Machine[] =>
          [...wanted].flatMap((slot) => machines.get(slot) ?? []);
        const told = (slot: number): readonly number[] => {
          const known = Bits.of(slots.filter((each) => each !== slot));
          const { peers, profiles } = shared.of(machine(slot, []), known, at);
          expect(JSON.parse(profiles)).toHaveLength(1);
          const list = JSON.parse(`[${Buffer.concat([...peers]).toString('utf8')}]`) as {
            readonly slot: number;
            readonly version: number;
          }[];
          for (const { version } of list) expect(version).toBe(texts.textsVersion);
          return list.map((each) => each.slot);
        };
        const others = (slot: number): readonly number[] =>
          slots.filter((each) => each !== slot).toSorted((a, b) => a - b);
        for (const slot of slots) expect(told(slot)).toEqual(others(slot));
        texts.textsVersion += 1;
        for (const slot of slots) expect(told(slot)).toEqual(others(slot));
        expect(made).toBeLessThanOrEqual(slots.length * slots.length * 2);
      }),
    );
  });
});

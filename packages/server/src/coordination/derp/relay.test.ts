import { randomBytes } from 'node:crypto';
import { type Duplex, duplexPair } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fromHex, toHex, utf8 } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import { DerpClient } from '../../../../../test/tailnet/driver/derp-client.ts';
import { generateKeyPair, keyPairOf } from '../noise/index.ts';
import {
  boxKey,
  type DerpLimits,
  DerpRelay,
  frameType,
  openBox,
  parseClientInfo,
  sealBox,
} from './index.ts';

function relayWith(
  limits: Partial<DerpLimits> = {},
  mayUse: (key: string) => boolean = () => true,
): { relay: DerpRelay; ends: string[] } {
  const ends: string[] = [];
  const relay = new DerpRelay({
    keyPair: generateKeyPair(),
    mayUse,
    nowMs: () => performance.now(),
    randomBytes: (length) => randomBytes(length),
    limits,
    onEnd: ({ why }) => ends.push(why),
  });
  return { relay, ends };
}

function connect(relay: DerpRelay, keys = generateKeyPair(), address = '192.0.2.1'): DerpClient {
  const [near, far] = duplexPair();
  void relay.accept(far, { head: new Uint8Array(), address });
  return new DerpClient(near, keys);
}

async function connected(relay: DerpRelay, keys = generateKeyPair()): Promise<DerpClient> {
  const client = connect(relay, keys);
  await client.admitted();
  return client;
}

const disco = Uint8Array.from([0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac, ...new Uint8Array(80)]);

describe('boxes', () => {
  const ours = keyPairOf(new Uint8Array(32).fill(2));
  const theirs = keyPairOf(new Uint8Array(32).fill(1));
  const message = new Uint8Array(64).fill(3);

  test('a box has the bytes of the published crypto_box example', () => {
    const key = boxKey(ours, theirs.publicKey) ?? new Uint8Array();
    const sealed = sealBox(key, new Uint8Array(24).fill(4), message);
    expect(toHex(sealed.subarray(24, 56))).toBe(
      '78ea30b19d2341ebbdba54180f821eec265cf86312549bea8a37652a8bb94f07',
    );
    expect(openBox(boxKey(theirs, ours.publicKey) ?? key, sealed)).toEqual(message);
  });

  test('a changed or cut box does not open', () => {
    const key = boxKey(ours, theirs.publicKey) ?? new Uint8Array();
    const sealed = sealBox(key, randomBytes(24), message);
    for (const at of [0, 24, sealed.length - 1]) {
      const changed = sealed.slice();
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(openBox(key, changed)).toBeUndefined();
    }
    expect(openBox(key, sealed.subarray(0, 39))).toBeUndefined();
  });

  test('a public key of low order shares nothing', () => {
    expect(boxKey(ours, new Uint8Array(32))).toBeUndefined();
  });
});

test.each([
  ['{}', { version: 0, meshKey: undefined, canAckPings: false, isProber: false }],
  [
    '{"VERSION":2,"canackpings":true}',
    { version: 2, meshKey: undefined, canAckPings: true, isProber: false },
  ],
])('client info %s is read', (text, info) => {
  expect(parseClientInfo(utf8(text))).toEqual({ ok: true, value: info });
});

test.each([
  ['[]', 'not json'],
  ['{', 'not json'],
  ['{"meshKey":""}', 'invalid mesh key'],
  ['{"version":"2"}', 'invalid field'],
  ['{"version":2.5}', 'invalid field'],
  ['{"CanAckPings":1}', 'invalid field'],
])('client info %s is refused', (text, error) => {
  expect(parseClientInfo(utf8(text))).toEqual({ ok: false, error });
});

describe('admission', () => {
  test('a client with an admitted key is told the version', async () => {
    const { relay } = relayWith();
    const client = await connected(relay);
    expect(client.serverInfo).toEqual({ version: 2 });
    expect(relay.stats).toMatchObject({ connections: 1, keys: 1, handshakes: 0, accepted: 1 });
  });

  test('a key that may not use the relay is refused after it was proven', async () => {
    const asked: string[] = [];
    const { relay, ends } = relayWith({}, (key) => asked.push(key) === 0);
    const client = connect(relay);
    await client.next(({ kind }) => kind === 'closed');
    expect(asked).toEqual([`nodekey:${client.key}`]);
    expect(ends).toEqual(['node key may not use this relay']);
  });

  test('whoever cannot open boxes of a key is not its owner', async () => {
    const { relay, ends } = relayWith();
    const [near, far] = duplexPair();
    void relay.accept(far, { head: new Uint8Array(), address: 'a' });
    near.resume();
    const stolen = generateKeyPair().publicKey;
    near.write(Uint8Array.of(2, 0, 0, 0, 32 + 24 + 32, ...stolen, ...randomBytes(56)));
    await expect.poll(() => ends).toEqual(['box cannot be opened']);
  });

  test.each([
    ['another frame', [4, 0, 0, 0, 0]],
    ['a client info without end', [2, 255, 255, 255, 255]],
    ['a short client info', [2, 0, 0, 0, 1, 0]],
  ])('%s first ends the connection at once', async (_name, bytes) => {
    const { relay, ends } = relayWith();
    const [near, far] = duplexPair();
    void relay.accept(far, { head: Uint8Array.from(bytes), address: 'a' });
    near.resume();
    await expect.poll(() => ends.length).toBe(1);
    expect(far.destroyed).toBe(true);
  });

  test('connections that prove nothing are bounded for each source and end by themselves', async () => {
    const { relay, ends } = relayWith({ handshakesPerSourceMax: 3, handshakeMs: 60 });
    const sockets: Duplex[] = [];
    for (let i = 0; i < 5; i += 1) {
      const [near, far] = duplexPair();
      near.resume();
      sockets.push(far);
      void relay.accept(far, { head: new Uint8Array(), address: 'same' });
    }
    expect(relay.stats.handshakes).toBe(3);
    await connected(relay);
    await expect.poll(() => relay.stats.handshakes).toBe(0);
    expect(sockets.every((socket) => socket.destroyed)).toBe(true);
    expect(ends.toSorted()).toEqual([
      'handshake took too long',
      'handshake took too long',
      'handshake took too long',
      'too many connections',
      'too many connections',
    ]);
  });
});

describe('relaying', () => {
  test('a packet arrives with its source, whole and in order', async () => {
    const { relay } = relayWith();
    const [a, b] = [await connected(relay), await connected(relay)];
    const packets = [new Uint8Array(0), Uint8Array.of(1, 2, 3), randomBytes(65_536)];
    for (const packet of packets) a.send(b.key, packet);
    for (const packet of packets) {
      expect(await b.next()).toEqual({
        kind: 'packet',
        source: a.key,
        packet: new Uint8Array(packet),
      });
    }
  });

  test('a frame cut anywhere is put together again', async () => {
    const { relay } = relayWith();
    const [a, b] = [await connected(relay), await connected(relay)];
    const frame = Uint8Array.of(4, 0, 0, 0, 35, ...(fromHex(b.key) ?? []), 7, 8, 9);
    for (const byte of frame) a.sendRaw(Uint8Array.of(byte));
    expect(await b.next()).toMatchObject({ kind: 'packet', packet: Uint8Array.of(7, 8, 9) });
  });

  test('who looks for a peer that is not here is told, a few times', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    const nobody = toHex(randomBytes(32));
    a.send(nobody, Uint8Array.of(1));
    for (let i = 0; i < 10; i += 1) a.send(nobody, disco);
    for (let i = 0; i < 3; i += 1) {
      expect(await a.next()).toEqual({ kind: 'gone', peer: nobody, reason: 1 });
    }
    await sleep(50);
    expect(a.events).toEqual([]);
    expect(relay.stats.dropped['unknown destination']).toBe(11);
  });

  test('a peer that was heard and leaves is told to those who heard it, and to nobody else', async () => {
    const { relay } = relayWith();
    const [a, b, c] = [await connected(relay), await connected(relay), await connected(relay)];
    a.send(b.key, Uint8Array.of(1));
    await b.next();
    a.close();
    expect(await b.next()).toEqual({ kind: 'gone', peer: a.key, reason: 0 });
    expect(c.events).toEqual([]);
  });

  test('a ping is answered with its own eight bytes', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    a.sendFrame(frameType.ping, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
    expect(await a.next()).toEqual({ kind: 'pong', data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) });
  });

  test('a home is counted once and forgotten with its connection', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    for (const value of [1, 1]) a.sendFrame(frameType.notePreferred, Uint8Array.of(value));
    await expect.poll(() => relay.stats.homes).toBe(1);
    a.close();
    await expect.poll(() => relay.stats.homes).toBe(0);
  });

  test('frames of the future are read past, whatever length they declare', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    a.sendRaw(Uint8Array.of(0x77, 0, 0, 0, 4, 1, 2));
    a.sendRaw(Uint8Array.of(3, 4));
    a.sendFrame(frameType.ping, new Uint8Array(8));
    expect(await a.next()).toMatchObject({ kind: 'pong' });
  });

  test.each([
    ['a packet over 64 KiB', Uint8Array.of(4, 0, 1, 0, 33)],
    ['a packet without destination', Uint8Array.of(4, 0, 0, 0, 1, 0)],
    ['a short ping', Uint8Array.of(0x12, 0, 0, 0, 1, 0)],
    ['a long ping', Uint8Array.of(0x12, 0, 0, 255, 0)],
    ['watching others', Uint8Array.of(0x10, 0, 0, 0, 0)],
    ['closing a peer', Uint8Array.of(0x11, 0, 0, 0, 32, ...new Uint8Array(32))],
    ['forwarding', Uint8Array.of(0x0a, 0, 0, 0, 64)],
  ])('%s ends the connection', async (_name, bytes) => {
    const { relay } = relayWith();
    const a = await connected(relay);
    a.sendRaw(bytes);
    expect(await a.next()).toEqual({ kind: 'closed' });
    expect(relay.stats.connections).toBe(0);
  });
});

describe('duplicates', () => {
  test('the newest connection of a key gets its packets, until another one speaks', async () => {
    const { relay } = relayWith();
    const keys = generateKeyPair();
    const [old, fresh, a] = [
      await connected(relay, keys),
      await connected(relay, keys),
      await connected(relay),
    ];
    a.send(old.key, Uint8Array.of(1));
    expect(await fresh.next()).toMatchObject({ packet: Uint8Array.of(1) });
    old.sendFrame(frameType.ping, new Uint8Array(8));
    await old.next(({ kind }) => kind === 'pong');
    a.send(old.key, Uint8Array.of(2));
    expect(await old.next()).toMatchObject({ packet: Uint8Array.of(2) });
    expect(relay.stats).toMatchObject({ connections: 3, keys: 2 });
  });

  test('connections that speak in turns are told, and told again when it is over', async () => {
    const { relay } = relayWith();
    const keys = generateKeyPair();
    const [one, two] = [await connected(relay, keys), await connected(relay, keys)];
    for (const client of [one, two, one, two]) {
      client.sendFrame(frameType.ping, new Uint8Array(8));
      await client.next(({ kind }) => kind === 'pong');
    }
    for (const client of [one, two]) {
      expect(await client.next()).toMatchObject({
        kind: 'health',
        problem: expect.stringContaining('same node key'),
      });
    }
    two.close();
    expect(await one.next()).toEqual({ kind: 'health', problem: '' });
  });

  test('peers are told of a key that is gone only when its last connection is', async () => {
    const { relay } = relayWith();
    const keys = generateKeyPair();
    const [one, two, b] = [
      await connected(relay, keys),
      await connected(relay, keys),
      await connected(relay),
    ];
    two.send(b.key, Uint8Array.of(1));
    await b.next();
    two.close();
    await expect.poll(() => relay.stats.connections).toBe(2);
    expect(b.events).toEqual([]);
    b.send(one.key, Uint8Array.of(2));
    expect(await one.next()).toMatchObject({ packet: Uint8Array.of(2) });
    one.close();
    expect(await b.next()).toMatchObject({ kind: 'gone', peer: one.key });
  });

  test('a key has a bounded number of connections', async () => {
    const { relay } = relayWith({ connectionsPerKeyMax: 2 });
    const keys = generateKeyPair();
    const first = await connected(relay, keys);
    await connected(relay, keys);
    await connected(relay, keys);
    await first.next(({ kind }) => kind === 'closed');
    expect(relay.stats).toMatchObject({ connections: 2, keys: 1 });
  });
});

describe('limits', () => {
  test('a reader that takes nothing costs bounded memory, loses the oldest and is cut', async () => {
    const { relay, ends } = relayWith({ writeStallMs: 300 });
    const [near, far] = duplexPair();
    void relay.accept(far, { head: new Uint8Array(), address: 'slow' });
    const slow = new DerpClient(near, generateKeyPair());
    await slow.admitted();
    near.pause();
    const a = await connected(relay);
    for (let i = 0; i < 2_000; i += 1) {
      a.send(slow.key, new Uint8Array(1_400));
      if (i % 50 === 0) await sleep(0);
    }
    await expect.poll(() => ends).toEqual(['reads too slowly']);
    const { dropped } = relay.stats;
    expect(dropped['queue full']).toBeGreaterThan(0);
    a.sendFrame(frameType.ping, new Uint8Array(8));
    expect(await a.next(({ kind }) => kind === 'pong')).toBeDefined();
  });

  test('a sender over its rate is read more slowly, and nothing of it is lost', async () => {
    const { relay } = relayWith({ receiveBytesPerSecond: 500_000, receiveBurstBytes: 70_000 });
    const [a, b] = [await connected(relay), await connected(relay)];
    const start = performance.now();
    for (let i = 0; i < 100; i += 1) a.send(b.key, new Uint8Array(1_963));
    for (let i = 0; i < 100; i += 1) await b.next(({ kind }) => kind === 'packet');
    const tookMs = performance.now() - start;
    // 200 kB less the burst at 500 kB/s.
    expect(tookMs).toBeGreaterThan(150);
    expect(tookMs).toBeLessThan(2_000);
  });

  test('an idle client hears a keepalive', async () => {
    const { relay } = relayWith({ keepAliveMs: 30, keepAliveJitterMs: 1 });
    const a = await connected(relay);
    expect(await a.next()).toEqual({ kind: 'keepalive' });
  });
});

describe('endings', () => {
  test('a node that was removed is cut', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    expect(relay.has(`nodekey:${a.key}`)).toBe(true);
    relay.disconnect(`nodekey:${a.key}`);
    expect(await a.next()).toEqual({ kind: 'closed' });
    expect(relay.has(`nodekey:${a.key}`)).toBe(false);
  });

  test('keys that are admitted no longer are cut at the next look', async () => {
    const admitted = new Set<string>();
    const { relay } = relayWith({}, (key) => admitted.has(key));
    const [one, two] = [generateKeyPair(), generateKeyPair()];
    for (const { publicKey } of [one, two]) admitted.add(`nodekey:${toHex(publicKey)}`);
    const [a, b] = [await connected(relay, one), await connected(relay, two)];
    admitted.delete(`nodekey:${a.key}`);
    await relay.recheck();
    expect(await a.next()).toEqual({ kind: 'closed' });
    expect(b.events).toEqual([]);
  });

  test('a relay that closes tells its clients to come back', async () => {
    const { relay } = relayWith();
    const a = await connected(relay);
    relay.close();
    expect(await a.next()).toMatchObject({ kind: 'restarting', tryForMs: 60_000 });
    expect(await a.next()).toEqual({ kind: 'closed' });
    const late = connect(relay);
    expect(await late.next()).toEqual({ kind: 'closed' });
  });
});

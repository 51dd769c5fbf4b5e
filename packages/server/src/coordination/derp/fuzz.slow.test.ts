import { createHash, randomBytes } from 'node:crypto';
import { duplexPair } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { concatBytes } from '@postern/core/base';
import { expect, test } from 'vitest';
import { heldBytes } from '../../../../../test/held-bytes.ts';
import { DerpClient } from '../../../../../test/tailnet/driver/derp-client.ts';
import { generateKeyPair } from '../noise/index.ts';
import { formatBindingRequest, parseBindingResponse, StunServer } from '../stun/index.ts';
import { DerpRelay, formatFrame, formatFrameHeader, frameType } from './index.ts';

/** Damaged input by the hundred thousand: nothing crashes, nothing piles up, everybody else is served. */

const seed = 1;
/** 2.7 MB are kept after 2,500 connections and 2.9 after 30,000. */
const heldGrowthBytesMax = 8 * 1024 * 1024;

/** The same bytes in every run. */
function stream(name: string): (below: number) => number {
  let block = Buffer.alloc(0);
  let at = 0;
  let counter = 0;
  return (below) => {
    if (at + 4 > block.length) {
      block = createHash('sha512').update(`${seed} ${name} ${counter}`).digest();
      counter += 1;
      at = 0;
    }
    at += 4;
    return block.readUInt32BE(at - 4) % below;
  };
}

function bytesOf(next: (below: number) => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => next(256));
}

/** A frame that is right, wrong in its length, cut, or noise. */
function someFrame(next: (below: number) => number, destination: Uint8Array): Uint8Array {
  const types = Object.values(frameType);
  const type = next(10) === 0 ? next(256) : (types[next(types.length)] ?? 0);
  const payload = bytesOf(next, next(120));
  switch (next(6)) {
    case 0:
      return formatFrame(frameType.sendPacket, destination, payload);
    case 1:
      return formatFrame(frameType.ping, bytesOf(next, 8));
    case 2:
      return concatBytes(
        formatFrameHeader(type, next(2) === 0 ? next(1 << 30) : next(200)),
        payload,
      );
    case 3:
      return payload;
    default:
      return formatFrame(type, payload);
  }
}

test('a relay survives ten thousand connections of damaged frames', async () => {
  const relay = new DerpRelay({
    keyPair: generateKeyPair(),
    mayUse: () => true,
    nowMs: () => performance.now(),
    randomBytes,
    limits: { handshakeMs: 50 },
  });
  const connect = (keys = generateKeyPair()): [DerpClient, ReturnType<typeof duplexPair>[0]] => {
    const [near, far] = duplexPair();
    void relay.accept(far, { head: new Uint8Array(), address: 'fuzz' });
    return [new DerpClient(near, keys), near];
  };
  const [witness] = connect();
  await witness.admitted();
  const destination = Buffer.from(witness.key, 'hex');
  const next = stream('frames');
  const before = heldBytes();
  const keys = Array.from({ length: 50 }, () => generateKeyPair());
  for (let i = 0; i < 10_000; i += 1) {
    const key = keys[next(keys.length)];
    if (next(4) === 0) {
      // Before the proof.
      const [near, far] = duplexPair();
      near.on('error', () => undefined).resume();
      void relay.accept(far, { head: new Uint8Array(), address: `pre${next(10)}` });
      near.write(someFrame(next, destination));
      await turn();
      near.destroy();
      far.destroy();
    } else {
      const [client, near] = connect(key);
      await client.admitted().catch(() => undefined);
      for (let frames = next(12); frames > 0 && !near.destroyed; frames -= 1) {
        client.sendRaw(someFrame(next, destination));
      }
      await turn();
      client.close();
    }
    // What the witness was sent is not what is measured. Taking it is its part of the deal.
    (witness.events as unknown[]).length = 0;
  }
  witness.sendFrame(frameType.ping, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  await witness.next(({ kind }) => kind === 'pong');
  await expect.poll(() => relay.stats.handshakes, { timeout: 5_000 }).toBe(0);
  await expect.poll(() => relay.stats.keys, { timeout: 10_000 }).toBe(1);
  expect(heldBytes() - before).toBeLessThan(heldGrowthBytesMax);
  relay.close();
}, 600_000);

test('STUN survives a million damaged datagrams and answers only whole requests', () => {
  const next = stream('stun');
  const server = new StunServer({ nowMs: () => 0, limits: { answersPerSourceMax: 1e9 } });
  const request = formatBindingRequest(bytesOf(next, 12));
  const source = { address: '192.0.2.1', port: 1 };
  const before = heldBytes();
  for (let i = 0; i < 1_000_000; i += 1) {
    const damaged = request.slice(0, next(8) === 0 ? next(request.length) : request.length);
    const flips = 1 + next(3);
    for (let flip = 0; flip < flips && damaged.length > 0; flip += 1) {
      const at = next(damaged.length);
      damaged[at] = (damaged[at] ?? 0) ^ (1 << next(8));
    }
    const isSame =
      damaged.length === request.length && damaged.every((byte, at) => byte === request[at]);
    const answer = server.answer(damaged, source);
    if (!isSame && answer !== undefined)
      throw new Error(`answered ${Buffer.from(damaged).toString('hex')}`);
    parseBindingResponse(damaged);
  }
  expect(heldBytes() - before).toBeLessThan(heldGrowthBytesMax);
}, 300_000);

import { duplexPair } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Result } from '@postern/core/base';
import { fromHex, present, toHex } from '@postern/core/base';
import {
  acceptControlClient,
  earlyPayload,
  generateKeyPair,
  initiationBytes,
  keyPairOf,
  NoiseStream,
  RecordOpener,
  RecordSealer,
  rawPrivate,
  recordBytesMax,
  recordPlaintextBytesMax,
  splitEarlyPayload,
  startControlClient,
} from './index.ts';

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

const hex = (text: string): Uint8Array => present(fromHex(text), 'hex');
const fixed = (octet: number): ReturnType<typeof keyPairOf> =>
  keyPairOf(new Uint8Array(32).fill(octet));

/** Both sides of a handshake between fresh machines. */
function pair(version = 142) {
  const control = generateKeyPair();
  const machine = generateKeyPair();
  const client = value(startControlClient({ version, machine, control: control.publicKey }));
  const accepted = value(acceptControlClient(control, client.initiation));
  const { response, keys } = value(accepted.answer());
  return { machine, accepted, server: keys, client: value(client.finish(response)) };
}

describe('the handshake', () => {
  test('gives both sides the same keys and tells the server who asks', () => {
    const { machine, accepted, server, client } = pair(148);
    expect(accepted.version).toBe(148);
    expect(toHex(accepted.machine)).toBe(toHex(machine.publicKey));
    expect(toHex(client.initiatorKey)).toBe(toHex(server.initiatorKey));
    expect(toHex(client.responderKey)).toBe(toHex(server.responderKey));
  });

  test('with fixed keys writes fixed bytes', () => {
    const started = value(
      startControlClient({
        version: 142,
        machine: fixed(0x11),
        control: fixed(0x22).publicKey,
        ephemeral: fixed(0x33),
      }),
    );
    expect(toHex(started.initiation)).toBe(
      '008e0100607b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b1461d2949213e755bc180b5d5dbbd8c50a2a1beb69f8940d24cab4606a34cd5d41e71894b6e538e0db74a62d66d156369a542243e1f7e65c1c018ad991b345b8aa',
    );
  });

  test('binds the version: another one in the header is not authentic', () => {
    const control = generateKeyPair();
    const started = value(
      startControlClient({
        version: 142,
        machine: generateKeyPair(),
        control: control.publicKey,
      }),
    );
    const changed = Buffer.from(started.initiation);
    changed.writeUInt16BE(141, 0);
    expect(acceptControlClient(control, changed)).toEqual({ ok: false, error: 'not_authentic' });
  });

  test('refuses an initiation with any bit flipped, and never throws', () => {
    const control = generateKeyPair();
    const { initiation } = value(
      startControlClient({ version: 142, machine: generateKeyPair(), control: control.publicKey }),
    );
    for (let at = 0; at < initiationBytes; at += 1) {
      const changed = Uint8Array.from(initiation);
      changed[at] = (changed[at] ?? 0) ^ 0x40;
      expect(acceptControlClient(control, changed).ok, `byte ${at}`).toBe(false);
    }
  });

  test('refuses a point of small order, whose shared secret anybody knows', () => {
    const control = generateKeyPair();
    const forged = Buffer.alloc(initiationBytes);
    forged.set([0, 142, 1, 0, 96]);
    expect(acceptControlClient(control, forged)).toEqual({ ok: false, error: 'bad_key' });
  });

  test('reads an error answer as what the server said', () => {
    const started = value(
      startControlClient({
        version: 142,
        machine: generateKeyPair(),
        control: generateKeyPair().publicKey,
      }),
    );
    const answer = Buffer.concat([Uint8Array.of(3, 0, 4), Buffer.from('busy')]);
    expect(started.finish(answer)).toEqual({ ok: false, error: { rejected: 'busy' } });
  });

  test('takes arbitrary bytes without an exception', () => {
    const control = generateKeyPair();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        expect(acceptControlClient(control, bytes).ok).toBe(false);
      }),
    );
  });

  test('keeps a private key through its raw form', () => {
    const made = generateKeyPair();
    expect(toHex(keyPairOf(rawPrivate(made)).publicKey)).toBe(toHex(made.publicKey));
  });
});

describe('records', () => {
  const key = hex('eca6bee256efc1368a5af89be3a82cc3e7954223faf3d6b4e67ed66c671a814e');

  test('count in big-endian', () => {
    const sealer = new RecordSealer(key);
    const hello = Buffer.from('hello');
    expect(toHex(sealer.seal(hello))).toBe('0400158dbec8f77738728dd69aca7e58427c2321d84a26dd');
    expect(toHex(sealer.seal(hello))).toBe('0400159a34eea1a726ca903114b745d1ab1163aa8ed5843e');
  });

  test('carry any bytes, however they are cut on the way', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 9_000 }), { maxLength: 4 }),
        fc.integer({ min: 1, max: 5_000 }),
        (messages, cut) => {
          const sealer = new RecordSealer(key);
          const opener = new RecordOpener(key);
          const wire = Buffer.concat(messages.map((message) => sealer.seal(message)));
          const got: Buffer[] = [];
          for (let at = 0; at < wire.length; at += cut) {
            const opened = opener.push(wire.subarray(at, at + cut));
            expect(opened.failure).toBeUndefined();
            got.push(...opened.plaintexts);
          }
          expect(Buffer.concat(got).equals(Buffer.concat(messages))).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });

  test('are at most 4,096 bytes, and those of no content are legal', () => {
    const sealed = new RecordSealer(key).seal(new Uint8Array(recordPlaintextBytesMax + 1));
    expect(sealed.readUInt16BE(1) + 3).toBe(recordBytesMax);
    expect(sealed.length).toBe(recordBytesMax + 3 + 16 + 1);
  });

  test('that are changed, repeated, of another type or too long end the reading for good', () => {
    const frame = new RecordSealer(key).seal(Buffer.from('hello'));
    const changed = Buffer.from(frame);
    changed.writeUInt8(changed.readUInt8(8) ^ 1, 8);
    const fresh = (): RecordOpener => new RecordOpener(key);
    expect(fresh().push(changed).failure).toBe('not_authentic');
    expect(fresh().push(Buffer.concat([frame, frame])).failure).toBe('not_authentic');
    expect(fresh().push(Uint8Array.of(5, 0, 16)).failure).toBe('bad_type');
    expect(fresh().push(Uint8Array.of(4, 0xff, 0xff)).failure).toBe('too_long');
    expect(fresh().push(Uint8Array.of(4, 0, 15)).failure).toBe('too_short');
    const ended = fresh();
    ended.push(changed);
    expect(ended.push(frame)).toEqual({ plaintexts: [], failure: 'not_authentic' });
  });

  test('takes arbitrary bytes without an exception', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (chunks) => {
        const opener = new RecordOpener(key);
        for (const chunk of chunks) expect(opener.push(chunk).plaintexts).toEqual([]);
      }),
    );
  });
});

describe('the stream', () => {
  function streams() {
    const { server, client } = pair();
    const [near, far] = duplexPair();
    return {
      near,
      client: new NoiseStream({
        socket: near,
        sendKey: client.initiatorKey,
        receiveKey: client.responderKey,
      }),
      server: new NoiseStream({
        socket: far,
        sendKey: server.responderKey,
        receiveKey: server.initiatorKey,
      }),
    };
  }

  test('carries a megabyte each way with back-pressure', async () => {
    const { client, server } = streams();
    server.on('data', (chunk: Buffer) => {
      if (!server.write(chunk)) {
        server.pause();
        server.once('drain', () => server.resume());
      }
    });
    const sent = Buffer.from('postern '.repeat(131_072));
    const got: Buffer[] = [];
    client.write(sent);
    for await (const chunk of client) {
      got.push(chunk as Buffer); // A stream without an encoding gives buffers.
      if (got.reduce((sum, { length }) => sum + length, 0) >= sent.length) break;
    }
    expect(Buffer.concat(got).equals(sent)).toBe(true);
  });

  test('is destroyed by bytes that are no record', async () => {
    const { near, server } = streams();
    const failed = new Promise((resolve) => server.once('error', resolve));
    near.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
    await expect(failed).resolves.toMatchObject({ name: 'RecordError', failure: 'bad_type' });
    expect(server.destroyed).toBe(true);
  });
});

describe('the early payload', () => {
  test('is split from what follows, and asks for more bytes where it is cut', () => {
    const payload = earlyPayload({ nodeKeyChallenge: 'chalpub:00' });
    const whole = Buffer.concat([payload, Buffer.from('rest')]);
    expect(value(splitEarlyPayload(whole))).toEqual({
      payload: '{"nodeKeyChallenge":"chalpub:00"}',
      rest: Buffer.from('rest'),
    });
    expect(value(splitEarlyPayload(whole.subarray(0, 5)))).toEqual({ need: 9 });
    expect(value(splitEarlyPayload(whole.subarray(0, 12)))).toEqual({ need: payload.length });
  });

  test('is not seen in an HTTP/2 answer, and a huge one is refused unread', () => {
    const settings = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
    expect(value(splitEarlyPayload(settings))).toEqual({ rest: settings });
    const huge = Uint8Array.of(0xff, 0xff, 0xff, 0x54, 0x53, 0x7f, 0xff, 0xff, 0xff);
    expect(splitEarlyPayload(huge)).toEqual({ ok: false, error: 'too_long' });
  });
});

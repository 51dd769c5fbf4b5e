import { connect, createServer, type OnReadOpts, type Server, type Socket } from 'node:net';
import { assert, ok, type Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { afterEach, describe, expect, test } from 'vitest';
import { pause, until } from '../../../../../test/fakes/until.ts';
import type { BodyFlow, OutboundAnswer, OutboundTimeouts } from '../../http/index.ts';
import { Leaving } from '../../http/index.ts';
import { createSocketEgress, type SocketEgressHandle } from './egress.ts';
import type { SocketDialer } from './place.ts';
import type { Pace, Paced } from './read-pace.ts';

/** Puts off whatever may be put off, until it is told. */
class Held implements Pace {
  readonly waiting: Paced[] = [];
  asked = 0;

  putsOff(one: Paced): boolean {
    this.asked += 1;
    this.waiting.push(one);
    return true;
  }

  turn(): void {
    for (const one of this.waiting.splice(0)) one.readAgain();
  }
}

const dialer = (port: number): SocketDialer => ({
  dial: async (_signal, onread?: OnReadOpts): Promise<Result<Socket, Refusal>> =>
    await new Promise((resolve) => {
      const to = { host: '127.0.0.1', port, noDelay: true };
      const socket = connect(onread === undefined ? to : { ...to, onread });
      socket.once('connect', () => resolve(ok(socket)));
    }),
});

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

interface Rig {
  readonly pace: Held;
  readonly signal: Leaving;
  /** The upstream's end of the connection. */
  upstream(): Socket;
  ask(timeouts?: Partial<OutboundTimeouts>): Promise<OutboundAnswer>;
  connections(): number;
}

/** A model server that says nothing by itself, and a way out that puts every read off. */
async function rig(): Promise<Rig> {
  const pace = new Held();
  const signal = new Leaving();
  const sockets: Socket[] = [];
  let asked = 0;
  const server: Server = createServer((socket) => {
    sockets.push(
      socket
        .on('error', () => undefined)
        .on('data', () => (asked += 1))
        .setNoDelay(),
    );
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
  const handle: SocketEgressHandle = createSocketEgress({ dialer: () => dialer(port), pace });
  closing.push(async () => await handle.close());
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const upstream = (): Socket => {
    const last = sockets.at(-1);
    assert(last !== undefined, 'somebody connected');
    return last;
  };
  const ask = async (changed: Partial<OutboundTimeouts> = {}): Promise<OutboundAnswer> => {
    const before = asked;
    const timeouts = {
      connectMs: 5_000,
      firstByteMs: 5_000,
      idleMs: 5_000,
      totalMs: 10_000,
      ...changed,
    };
    const sent = handle.egress({
      method: 'POST',
      url: new URL(`http://127.0.0.1:${port}/`),
      headers: {},
      body: '{}',
      signal,
      timeouts,
      permission: { internal: true },
    });
    await until(() => asked > before);
    upstream().write(streamHead);
    const answer = await sent;
    assert(answer.ok, 'the upstream answers');
    return answer.value;
  };
  return { pace, signal, upstream, ask, connections: () => handle.connections };
}

const streamHead =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** What was pushed so far, and how it ended. */
class Reader {
  text = '';
  hasEnded = false;
  readonly flow: BodyFlow;

  constructor(answer: OutboundAnswer) {
    assert(answer.flow !== undefined, 'a body can be pushed');
    this.flow = answer.flow({
      piece: (bytes) => {
        this.text += Buffer.from(bytes).toString();
      },
      end: () => {
        this.hasEnded = true;
      },
    });
  }
}

/** A stream of which one event was read and which is put off since. */
async function putOff(changed?: Partial<OutboundTimeouts>): Promise<Rig & { reader: Reader }> {
  const set = await rig();
  const reader = new Reader(await set.ask(changed));
  set.upstream().write(chunk('one '));
  await until(() => set.pace.waiting.length === 1);
  expect(reader.text).toBe('one ');
  return { ...set, reader };
}

describe('a stream that is put off', () => {
  test('brings what came meanwhile together and in order, once it is its turn', async () => {
    const { pace, upstream, reader } = await putOff();
    upstream().write(chunk('two '));
    await pause(20);
    upstream().write(chunk('three '));
    await pause(20);
    expect(reader.text).toBe('one ');
    pace.turn();
    await until(() => reader.text === 'one two three ');
    expect(pace.asked).toBe(2);
  });

  test('ends as a whole when its end came meanwhile, and its connection serves the next call', async () => {
    const { pace, upstream, reader, ask, connections } = await putOff();
    upstream().write(`${chunk('two')}0\r\n\r\n`);
    await pause(20);
    expect(reader.hasEnded).toBe(false);
    pace.turn();
    await until(() => reader.hasEnded);
    expect(reader.text).toBe('one two');
    expect(pace.waiting).toEqual([]);
    const next = new Reader(await ask());
    upstream().write(`${chunk('again')}0\r\n\r\n`);
    await until(() => next.text === 'again' || pace.waiting.length > 0);
    pace.turn();
    await until(() => next.hasEnded);
    expect([next.text, connections()]).toEqual(['again', 1]);
  });

  test('is known as broken when its upstream broke off meanwhile', async () => {
    const set = await rig();
    const answer = await set.ask();
    const reader = new Reader(answer);
    set.upstream().write(chunk('one '));
    await until(() => set.pace.waiting.length === 1);
    set.upstream().destroy();
    set.pace.turn();
    await until(() => reader.hasEnded);
    expect(answer.failure()?.code).toBe('upstream_error');
  });

  test('closes its upstream at once when its caller leaves, and its turn means nothing then', async () => {
    const { pace, upstream, signal, reader, connections } = await putOff();
    const closed = new Promise((resolve) => upstream().once('close', resolve));
    signal.abort();
    await closed;
    pace.turn();
    expect([reader.hasEnded, connections()]).toEqual([true, 0]);
  });

  test('is not read in its turn while its reader has no room, and goes on when there is some', async () => {
    const { pace, upstream, reader } = await putOff();
    upstream().write(chunk('two'));
    reader.flow.pause();
    pace.turn();
    await pause(30);
    expect(reader.text).toBe('one ');
    reader.flow.resume();
    await until(() => reader.text === 'one two');
  });

  test('does not count as idle', async () => {
    const { pace, upstream, reader } = await putOff({ idleMs: 60 });
    upstream().write(chunk('two'));
    await pause(150);
    pace.turn();
    await until(() => reader.text === 'one two');
    expect(reader.hasEnded).toBe(false);
  });
});

describe('nothing is put off of', () => {
  test('an answer that is read as a whole', async () => {
    const { pace, upstream, ask } = await rig();
    const answer = await ask();
    const body = answer.readAll(1_000);
    upstream().write(chunk('one '));
    await pause(20);
    upstream().write(`${chunk('two')}0\r\n\r\n`);
    const whole = await body;
    expect(whole.ok && Buffer.from(whole.value).toString()).toBe('one two');
    expect(pace.asked).toBe(0);
  });

  test('an answer that comes as fast as it can', async () => {
    const { pace, upstream, ask } = await rig();
    const reader = new Reader(await ask());
    const piece = chunk('x'.repeat(64_000));
    for (let count = 0; count < 20; count += 1) upstream().write(piece);
    await until(() => {
      // What is left over at the end of a piece may be small.
      pace.turn();
      return reader.text.length === 20 * 64_000;
    });
    expect(pace.asked).toBeLessThan(20);
  });
});

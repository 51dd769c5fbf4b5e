import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeReply } from '../../packages/server/src/adapters/service-systemd/bus-message.ts';

/** A manager of units behind a socket that speaks D-Bus: *simulated*, where PID 1 is another program. */
export interface FakeManager {
  readonly socket: string;
  /** Every call, as `Member arg arg`. */
  readonly calls: readonly string[];
  pid: number;
  startedUs: bigint;
  state: string;
  /** Answers RestartUnit, and restarts nothing. */
  isIdle: boolean;
  /** What happens when a unit is started anew. */
  onRestart: () => void | Promise<void>;
  close(): Promise<void>;
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes, Buffer.alloc(1)]);
};
const signature = (value: string): Buffer =>
  Buffer.concat([Buffer.from([value.length]), Buffer.from(value), Buffer.alloc(1)]);

function variant(type: 's' | 'u' | 't', value: string | bigint | number): Buffer {
  const head = signature(type);
  if (typeof value === 'string') return Buffer.concat([head, Buffer.alloc(1), text(value)]);
  const bytes = Buffer.alloc(type === 't' ? 8 : 4);
  if (typeof value === 'bigint') bytes.writeBigUInt64LE(value);
  else bytes.writeUInt32LE(value);
  // The value begins at a multiple of its size.
  const padding = Buffer.alloc((bytes.length - (head.length % bytes.length)) % bytes.length);
  return Buffer.concat([head, padding, bytes]);
}

/** The texts of a call: member and arguments, read from where the specification puts them. */
function readCall(message: Buffer): { serial: number; member: string; args: string[] } {
  const bodyLength = message.readUInt32LE(4);
  const serial = message.readUInt32LE(8);
  const fields = message.subarray(16, 16 + message.readUInt32LE(12));
  let member = '';
  for (let at = 0; at < fields.length; ) {
    at += (8 - (at % 8)) % 8;
    if (at >= fields.length) break;
    const code = fields[at] ?? 0;
    const type = String.fromCharCode(fields[at + 2] ?? 0);
    at += 4;
    if (type === 'g') {
      at += (fields[at] ?? 0) + 2;
      continue;
    }
    at += (4 - (at % 4)) % 4;
    const length = fields.readUInt32LE(at);
    if (code === 3) member = fields.toString('utf8', at + 4, at + 4 + length);
    at += 4 + length + 1;
  }
  const body = message.subarray(message.length - bodyLength);
  const args: string[] = [];
  for (let at = 0; at < body.length; ) {
    at += (4 - (at % 4)) % 4;
    const length = body.readUInt32LE(at);
    args.push(body.toString('utf8', at + 4, at + 4 + length));
    at += 4 + length + 1;
  }
  return { serial, member, args };
}

export async function startFakeManager(): Promise<FakeManager> {
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-bus-'));
  const socket = path.join(folder, 'bus');
  const calls: string[] = [];
  const sockets = new Set<net.Socket>();
  const reply = async (message: Buffer): Promise<Buffer> => {
    const { serial, member, args } = readCall(message);
    calls.push([member, ...args].join(' '));
    const answer = (type: string, body: Buffer) =>
      encodeReply({ serial: 1, replySerial: serial, signature: type, body });
    switch (member) {
      case 'Hello':
        return answer('s', text(':1.7'));
      case 'LoadUnit':
        return answer('o', text('/org/freedesktop/systemd1/unit/x'));
      case 'RestartUnit':
        if (!fake.isIdle) {
          fake.pid += 1;
          fake.startedUs += 5_000_000n;
          await fake.onRestart();
        }
        return answer('o', text('/org/freedesktop/systemd1/job/1'));
      case 'Get':
        if (args[1] === 'ActiveState') return answer('v', variant('s', fake.state));
        return args[1] === 'MainPID'
          ? answer('v', variant('u', fake.pid))
          : answer('v', variant('t', fake.startedUs));
      default:
        return encodeReply({
          serial: 1,
          replySerial: serial,
          error: 'org.freedesktop.DBus.Error.UnknownMethod',
          signature: 's',
          body: text('no such method'),
        });
    }
  };
  const server = net.createServer((connection) => {
    sockets.add(connection);
    let bytes = Buffer.alloc(0);
    let isBegun = false;
    let turn = Promise.resolve();
    connection.on('error', () => undefined);
    connection.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!isBegun) {
        const end = bytes.indexOf('BEGIN\r\n');
        if (end < 0) {
          connection.write('OK 0123456789abcdef0123456789abcdef\r\n');
          bytes = Buffer.alloc(0);
          return;
        }
        isBegun = true;
        bytes = bytes.subarray(end + 7);
      }
      while (bytes.length >= 16) {
        const list = bytes.readUInt32LE(12);
        const length = 16 + list + ((8 - (list % 8)) % 8) + bytes.readUInt32LE(4);
        if (bytes.length < length) return;
        const message = bytes.subarray(0, length);
        bytes = bytes.subarray(length);
        turn = turn.then(async () => {
          connection.write(await reply(message));
        });
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  const fake: FakeManager = {
    socket,
    calls,
    pid: 100,
    startedUs: 1_000_000n,
    state: 'active',
    isIdle: false,
    onRestart: () => undefined,
    close: async () => {
      for (const each of sockets) each.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(folder, { recursive: true, force: true });
    },
  };
  return fake;
}

import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import path from 'node:path';
import type { Result, Secret } from '@postern/core/base';
import { err, messageOf, ok } from '@postern/core/base';
import type { Restarter, Rotator } from '../../ops/index.ts';
import type { BusReply, BusValue } from './bus-message.ts';
import { decodeReply, encodeCall, messageLength } from './bus-message.ts';

/** Where the manager of the machine is asked, over the bus of the system. */
export const systemBus = '/run/dbus/system_bus_socket';

const manager = 'org.freedesktop.systemd1';
const properties = 'org.freedesktop.DBus.Properties';
const answerMsMax = 30_000;

export interface ManagerPlace {
  /** Path of the bus. */
  readonly socket: string;
  readonly uid: number;
}

/** Restarts a unit by the manager of this machine (org.freedesktop.systemd1), and sees by its start time that it did. */
export function createUnitRestarter(place: ManagerPlace, unit: string): Restarter {
  return {
    place: `systemd ${unit}`,
    startMark: async (signal) => withBus(place, signal, (bus) => startMark(bus, unit)),
    restart: async (signal) =>
      withBus(place, signal, async (bus) => {
        const job = await bus.call({
          path: '/org/freedesktop/systemd1',
          interface: `${manager}.Manager`,
          member: 'RestartUnit',
          args: [unit, 'replace'],
        });
        return job.ok ? ok(undefined) : job;
      }),
  };
}

/** Writes the new key where the unit reads it, and starts the unit anew. */
export function createUnitRotator(
  place: ManagerPlace,
  unit: string,
  credentialFile: string,
): Rotator {
  const restarter = createUnitRestarter(place, unit);
  return {
    place: restarter.place,
    rotate: async (next: Secret, signal) => {
      const before = await readFile(credentialFile, 'utf8').catch(() => undefined);
      const aside = path.join(
        path.dirname(credentialFile),
        `.${path.basename(credentialFile)}.new`,
      );
      try {
        await writeFile(aside, `${next.reveal()}\n`, { mode: 0o600 });
        await rename(aside, credentialFile);
      } catch (cause) {
        return err(messageOf(cause));
      }
      const done = await restarter.restart(signal);
      // A unit that could not be started anew still has its old key: so must the file.
      if (!done.ok && before !== undefined)
        await writeFile(credentialFile, before, { mode: 0o600 });
      return done;
    },
  };
}

async function startMark(bus: Bus, unit: string): Promise<Result<string, string>> {
  const found = await bus.call({
    path: '/org/freedesktop/systemd1',
    interface: `${manager}.Manager`,
    member: 'LoadUnit',
    args: [unit],
  });
  if (!found.ok) return found;
  const at = typeof found.value === 'string' ? found.value : '';
  const read = (name: string, of: string) =>
    bus.call({ path: at, interface: properties, member: 'Get', args: [`${manager}.${of}`, name] });
  const state = await read('ActiveState', 'Unit');
  if (!state.ok) return state;
  const pid = await read('MainPID', 'Service');
  if (!pid.ok) return pid;
  const started = await read('ExecMainStartTimestampMonotonic', 'Service');
  if (!started.ok) return started;
  if (state.value !== 'active') return err(`${unit} is ${String(state.value)}`);
  return ok(`pid ${String(pid.value)}, started at ${String(started.value)} µs`);
}

interface Bus {
  call(call: {
    readonly path: string;
    readonly interface: string;
    readonly member: string;
    readonly args: readonly string[];
    readonly destination?: string;
  }): Promise<Result<BusValue, string>>;
}

/** One connection for a few calls. */
async function withBus<T>(
  { socket, uid }: ManagerPlace,
  signal: AbortSignal,
  work: (bus: Bus) => Promise<Result<T, string>>,
): Promise<Result<T, string>> {
  const ending = AbortSignal.any([signal, AbortSignal.timeout(answerMsMax)]);
  const connection = connect(socket);
  const stop = (): void => {
    connection.destroy();
  };
  ending.addEventListener('abort', stop, { once: true });
  try {
    const line = new Line(connection);
    await line.begin(uid);
    const bus = busOver(line);
    const hello = await bus.call({
      destination: 'org.freedesktop.DBus',
      path: '/org/freedesktop/DBus',
      interface: 'org.freedesktop.DBus',
      member: 'Hello',
      args: [],
    });
    return hello.ok ? await work(bus) : hello;
  } catch (cause) {
    return err(`the manager cannot be asked at ${socket}: ${messageOf(cause)}`);
  } finally {
    ending.removeEventListener('abort', stop);
    connection.destroy();
  }
}

function busOver(line: Line): Bus {
  let serial = 0;
  return {
    call: async (call) => {
      serial += 1;
      line.send(encodeCall({ destination: manager, ...call, serial }));
      const reply = await line.replyTo(serial);
      if (reply.error === undefined) return ok(reply.value);
      return err(`${reply.error}: ${String(reply.value ?? '')}`);
    },
  };
}

/** Bytes of one connection: the lines of its beginning, then messages. */
class Line {
  readonly #socket: Socket;
  #bytes = Buffer.alloc(0);
  #wake: () => void = () => undefined;
  #fault: Error | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const end = (fault: Error): void => {
      this.#fault ??= fault;
      this.#wake();
    };
    socket.on('error', end).on('close', () => end(new Error('it closed the connection')));
  }

  /** SASL EXTERNAL: the kernel tells the bus who we are, and we say the same. */
  async begin(uid: number): Promise<void> {
    this.#socket.write(`\0AUTH EXTERNAL ${Buffer.from(String(uid)).toString('hex')}\r\n`);
    const answer = await this.#take((bytes) => {
      const end = bytes.indexOf('\r\n');
      return end < 0 ? undefined : end + 2;
    });
    if (!answer.toString('latin1').startsWith('OK ')) throw new Error('it does not know this user');
    this.#socket.write('BEGIN\r\n');
  }

  send(message: Buffer): void {
    this.#socket.write(message);
  }

  async replyTo(serial: number): Promise<BusReply> {
    for (;;) {
      // oxlint-disable-next-line no-await-in-loop -- signals may come before the answer
      const message = await this.#take(messageLength);
      const reply = decodeReply(message);
      if (reply?.replySerial === serial) return reply;
    }
  }

  async #take(lengthOf: (bytes: Buffer) => number | undefined): Promise<Buffer> {
    for (;;) {
      const length = lengthOf(this.#bytes);
      if (length !== undefined && this.#bytes.length >= length) {
        const taken = this.#bytes.subarray(0, length);
        this.#bytes = this.#bytes.subarray(length);
        return taken;
      }
      if (this.#fault !== undefined) throw this.#fault;
      // oxlint-disable-next-line no-await-in-loop -- until enough has arrived
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

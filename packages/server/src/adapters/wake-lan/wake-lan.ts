import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Result } from '@postern/core/base';
import { assert, concatBytes, err, ok } from '@postern/core/base';
import type { Waker } from '../../gateway/index.ts';

export interface LanWakerOptions {
  /** Six octets in hexadecimal, with `:` or `-`. */
  readonly mac: string;
  /** The broadcast address of its network, or the address of whoever passes the packet on. */
  readonly address: string;
  readonly port: number;
  /** SecureOn, in the form of `mac`. */
  readonly password?: string | undefined;
}

/** UDP may lose one. */
const packets = 3;
const addressOctets = 6;
const repetitions = 16;

export function magicPacket(mac: string, password?: string): Uint8Array {
  const address = octetsOf(mac);
  const head = new Uint8Array(addressOctets).fill(0xff);
  const tail = password === undefined ? [] : [octetsOf(password)];
  return concatBytes(head, ...Array.from({ length: repetitions }, () => address), ...tail);
}

function octetsOf(text: string): Uint8Array {
  const octets = Uint8Array.from(text.split(/[:-]/), (octet) => Number.parseInt(octet, 16));
  assert(octets.length === addressOctets, 'a hardware address has six octets');
  return octets;
}

export function createLanWaker(options: LanWakerOptions): Waker {
  const packet = magicPacket(options.mac, options.password);
  return {
    wake: async () => {
      try {
        const found = await lookup(options.address);
        return await send(packet, { ...found, port: options.port });
      } catch (cause) {
        return err(`the wake packet was not sent: ${messageOf(cause)}`);
      }
    },
  };
}

function send(
  packet: Uint8Array,
  {
    address,
    family,
    port,
  }: { readonly address: string; readonly family: number; readonly port: number },
): Promise<Result<undefined, string>> {
  const { promise, resolve } = Promise.withResolvers<Result<undefined, string>>();
  const isV6 = family === 6;
  const socket = createSocket(isV6 ? 'udp6' : 'udp4');
  const end = (outcome: Result<undefined, string>): void => {
    socket.close();
    resolve(outcome);
  };
  const fail = (cause: Error): void => end(err(`the wake packet was not sent: ${cause.message}`));
  socket.once('error', fail);
  socket.bind(0, () => {
    if (!isV6) socket.setBroadcast(true);
    let left = packets;
    for (let i = 0; i < packets; i += 1) {
      socket.send(packet, port, address, (cause) => {
        left -= 1;
        // An error is told once, by the event or here, whichever comes first.
        if (cause === null && left === 0) end(ok(undefined));
        else if (cause !== null && left === 0) fail(cause);
      });
    }
  });
  return promise;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : 'unknown';
}

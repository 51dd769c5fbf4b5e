import type { Duplex } from 'node:stream';
import { err, ok, type Result, utf8 } from '@postern/core/base';
import type { KeyPair } from '../noise/index.ts';
import { boxKey, nonceBytes, openBox, sealBox } from './box.ts';
import { type ClientInfo, parseClientInfo } from './client-info.ts';
import { formatFrame, FrameReader, frameType, keyBytes, magic, protocolVersion } from './frame.ts';

/** A client that has proven its node key. */
export interface Proven {
  readonly key: Uint8Array;
  readonly info: ClientInfo;
  /** Bytes that came after the proof. */
  readonly rest: Uint8Array;
  /** The server's last word of the handshake, sealed for this client. */
  readonly serverInfo: Uint8Array;
}

/** The first frame: who we are. */
export function formatServerKey(publicKey: Uint8Array): Uint8Array {
  return formatFrame(frameType.serverKey, magic, publicKey);
}

/** Reads a client's proof out of the bytes it sent; undefined while there are too few. */
export class ProofReader {
  readonly #server: KeyPair;
  readonly #randomBytes: (length: number) => Uint8Array;
  readonly #reader: FrameReader;

  constructor(options: {
    readonly server: KeyPair;
    readonly clientInfoBytesMax: number;
    readonly randomBytes: (length: number) => Uint8Array;
  }) {
    this.#server = options.server;
    this.#randomBytes = options.randomBytes;
    // Any other frame first is a mistake, not something to read past.
    this.#reader = new FrameReader((type) =>
      type === frameType.clientInfo ? options.clientInfoBytesMax : -1,
    );
  }

  push(chunk: Uint8Array): Result<Proven | undefined, string> {
    this.#reader.push(chunk);
    const next = this.#reader.next();
    if (!next.ok)
      return err(`not a client info: type ${next.error.type}, ${next.error.length} bytes`);
    if (next.value === undefined) return ok(undefined);
    const { payload } = next.value;
    if (payload.length < keyBytes + nonceBytes) return err('short client info');
    const key = payload.slice(0, keyBytes);
    const shared = boxKey(this.#server, key);
    const opened = shared === undefined ? undefined : openBox(shared, payload.subarray(keyBytes));
    if (shared === undefined || opened === undefined) return err('box cannot be opened');
    const info = parseClientInfo(opened);
    if (!info.ok) return info;
    const message = utf8(JSON.stringify({ version: protocolVersion }));
    const sealed = sealBox(shared, this.#randomBytes(nonceBytes), message);
    const serverInfo = formatFrame(frameType.serverInfo, sealed);
    return ok({ key, info: info.value, rest: this.#reader.rest(), serverInfo });
  }
}

/** Waits on a socket for the proof. The socket is left paused, without listeners. */
export function readProof(
  socket: Duplex,
  reader: ProofReader,
  options: { readonly head: Uint8Array; readonly withinMs: number },
): Promise<Result<Proven, string>> {
  return new Promise((resolve) => {
    const finish = (result: Result<Proven, string>): void => {
      clearTimeout(timer);
      socket.off('data', take).off('error', fail).off('close', left).off('end', left);
      socket.pause();
      resolve(result);
    };
    const take = (chunk: Uint8Array): void => {
      const result = reader.push(chunk);
      if (!result.ok) finish(result);
      else if (result.value !== undefined) finish(ok(result.value));
    };
    const fail = (cause: Error): void => finish(err(cause.message));
    const left = (): void => finish(err('client left'));
    const timer = setTimeout(() => finish(err('handshake took too long')), options.withinMs);
    socket.on('data', take).on('error', fail).on('close', left).on('end', left);
    if (options.head.length > 0) take(options.head);
  });
}

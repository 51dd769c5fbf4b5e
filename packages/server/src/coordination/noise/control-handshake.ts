import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import type { HandshakeFailure } from './ik.ts';
import { initiate, respond } from './ik.ts';
import type { TransportKeys } from './symmetric-state.ts';
import type { KeyPair } from './x25519.ts';

/** `u16be version | 01 | u16be 96 | message`. */
export const initiationBytes = 101;
/** `02 | u16be 48 | message`. */
export const responseBytes = 51;
/** Text of an error answer that is read; the rest is of no use to anybody. */
const errorTextBytesMax = 512;

const initiationHeaderBytes = 5;
const responseHeaderBytes = 3;
const messageType = { initiation: 1, response: 2, error: 3 } as const;
const nothing = new Uint8Array(0);

export type ControlHandshakeFailure =
  | HandshakeFailure
  | 'bad_header'
  /** The other side said no; `rejected` is what it said, shortened. */
  | { readonly rejected: string };

/** A ts2021 client's side. `version` is its capability version, which the prologue binds. */
export function startControlClient(input: {
  readonly version: number;
  readonly machine: KeyPair;
  readonly control: Uint8Array;
  readonly ephemeral?: KeyPair;
}): Result<
  {
    readonly initiation: Uint8Array;
    readonly finish: (answer: Uint8Array) => Result<TransportKeys, ControlHandshakeFailure>;
  },
  HandshakeFailure
> {
  const { version, machine, control, ephemeral } = input;
  const started = initiate({
    prologue: prologueOf(version),
    own: machine,
    responder: control,
    payload: nothing,
    ...(ephemeral === undefined ? {} : { ephemeral }),
  });
  if (!started.ok) return started;
  const { message } = started.value;
  const header = Buffer.alloc(initiationHeaderBytes);
  header.writeUInt16BE(version, 0);
  header.writeUInt8(messageType.initiation, 2);
  header.writeUInt16BE(message.length, 3);
  return ok({
    initiation: concatBytes(header, message),
    finish: (answer) => finishClient(started.value.finish, answer),
  });
}

function finishClient(
  finish: (message: Uint8Array) => Result<{ readonly keys: TransportKeys }, HandshakeFailure>,
  answer: Uint8Array,
): Result<TransportKeys, ControlHandshakeFailure> {
  if (answer.length < responseHeaderBytes) return err('too_short');
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  const type = bytes.readUInt8(0);
  const length = bytes.readUInt16BE(1);
  if (type === messageType.error) {
    const text = bytes.subarray(responseHeaderBytes, responseHeaderBytes + errorTextBytesMax);
    return err({ rejected: text.toString('utf8') });
  }
  if (type !== messageType.response || length !== responseBytes - responseHeaderBytes) {
    return err('bad_header');
  }
  if (answer.length !== responseBytes) return err('too_short');
  const done = finish(answer.subarray(responseHeaderBytes));
  return done.ok ? ok(done.value.keys) : done;
}

/** A machine that has proven its key, before it was answered. */
export interface ControlInitiation {
  /** The client's capability version. */
  readonly version: number;
  /** The raw machine public key. */
  readonly machine: Uint8Array;
  readonly answer: (
    ephemeral?: KeyPair,
  ) => Result<{ readonly response: Uint8Array; readonly keys: TransportKeys }, HandshakeFailure>;
}

/**
 * The server's side. The version is read from the header and bound by the prologue; any version is taken, since
 * clients grow one about every month.
 */
export function acceptControlClient(
  control: KeyPair,
  initiation: Uint8Array,
): Result<ControlInitiation, ControlHandshakeFailure> {
  if (initiation.length !== initiationBytes) return err('too_short');
  const bytes = Buffer.from(initiation.buffer, initiation.byteOffset, initiation.length);
  const version = bytes.readUInt16BE(0);
  const length = initiationBytes - initiationHeaderBytes;
  if (bytes.readUInt8(2) !== messageType.initiation || bytes.readUInt16BE(3) !== length) {
    return err('bad_header');
  }
  const message = initiation.subarray(initiationHeaderBytes);
  const accepted = respond(prologueOf(version), control, message);
  if (!accepted.ok) return accepted;
  return ok({
    version,
    machine: accepted.value.initiator,
    answer: (ephemeral) => {
      const answered = accepted.value.answer(nothing, ephemeral);
      if (!answered.ok) return answered;
      const header = Buffer.alloc(responseHeaderBytes);
      header.writeUInt8(messageType.response, 0);
      header.writeUInt16BE(answered.value.message.length, 1);
      return ok({
        response: concatBytes(header, answered.value.message),
        keys: answered.value.keys,
      });
    },
  });
}

function prologueOf(version: number): Uint8Array {
  return Buffer.from(`Tailscale Control Protocol v${version}`, 'ascii');
}

import type { Result } from '@postern/core/base';
import { concatBytes, err, ok } from '@postern/core/base';
import { tagBytes } from './aead.ts';
import type { TransportKeys } from './symmetric-state.ts';
import { SymmetricState } from './symmetric-state.ts';
import type { KeyPair } from './x25519.ts';
import { generateKeyPair, keyBytes, sharedSecret } from './x25519.ts';

/** Why a handshake message was refused. One who guesses learns nothing more than that it failed. */
export type HandshakeFailure = 'too_short' | 'bad_key' | 'not_authentic';

/** An initiator that has sent its message and waits for the answer. */
export interface PendingInitiator {
  readonly message: Uint8Array;
  readonly finish: (answer: Uint8Array) => Result<Finished, HandshakeFailure>;
}

export interface Finished {
  readonly payload: Uint8Array;
  readonly keys: TransportKeys;
}

/** What a responder knows after the first message: who asks, and how to answer. */
export interface Accepted {
  /** The initiator's static public key. It is proven: the message could not have been made without its private half. */
  readonly initiator: Uint8Array;
  readonly payload: Uint8Array;
  readonly answer: (payload: Uint8Array, ephemeral?: KeyPair) => Result<Answered, HandshakeFailure>;
}

export interface Answered {
  readonly message: Uint8Array;
  readonly keys: TransportKeys;
}

export interface InitiatorInput {
  readonly prologue: Uint8Array;
  readonly own: KeyPair;
  /** Static public key of the responder, known beforehand. */
  readonly responder: Uint8Array;
  readonly payload: Uint8Array;
  /** Only tests bring their own. */
  readonly ephemeral?: KeyPair;
}

/** Noise IK, initiator: `-> e, es, s, ss`, then `<- e, ee, se`. */
export function initiate(input: InitiatorInput): Result<PendingInitiator, HandshakeFailure> {
  const { own, responder } = input;
  const ephemeral = input.ephemeral ?? generateKeyPair();
  const state = new SymmetricState(input.prologue);
  state.mixHash(responder);
  state.mixHash(ephemeral.publicKey);
  if (!mixShared(state, ephemeral, responder)) return err('bad_key');
  const sealedStatic = state.seal(own.publicKey);
  if (!mixShared(state, own, responder)) return err('bad_key');
  const message = concatBytes(ephemeral.publicKey, sealedStatic, state.seal(input.payload));
  return ok({ message, finish: (answer) => finish(state, own, ephemeral, answer) });
}

function finish(
  state: SymmetricState,
  own: KeyPair,
  ephemeral: KeyPair,
  answer: Uint8Array,
): Result<Finished, HandshakeFailure> {
  if (answer.length < keyBytes + tagBytes) return err('too_short');
  const peer = answer.subarray(0, keyBytes);
  state.mixHash(peer);
  if (!mixShared(state, ephemeral, peer) || !mixShared(state, own, peer)) return err('bad_key');
  const payload = state.open(answer.subarray(keyBytes));
  return payload === undefined ? err('not_authentic') : ok({ payload, keys: state.split() });
}

/** Noise IK, responder: judges the first message. */
export function respond(
  prologue: Uint8Array,
  own: KeyPair,
  message: Uint8Array,
): Result<Accepted, HandshakeFailure> {
  const staticEnd = keyBytes + keyBytes + tagBytes;
  if (message.length < staticEnd + tagBytes) return err('too_short');
  const ephemeral = message.slice(0, keyBytes);
  const state = new SymmetricState(prologue);
  state.mixHash(own.publicKey);
  state.mixHash(ephemeral);
  if (!mixShared(state, own, ephemeral)) return err('bad_key');
  const initiator = state.open(message.subarray(keyBytes, staticEnd));
  if (initiator === undefined) return err('not_authentic');
  if (!mixShared(state, own, initiator)) return err('bad_key');
  const payload = state.open(message.subarray(staticEnd));
  if (payload === undefined) return err('not_authentic');
  return ok({
    initiator: new Uint8Array(initiator),
    payload,
    answer: (text, fresh = generateKeyPair()) => {
      state.mixHash(fresh.publicKey);
      if (!mixShared(state, fresh, ephemeral) || !mixShared(state, fresh, initiator)) {
        return err('bad_key');
      }
      const answer = concatBytes(fresh.publicKey, state.seal(text));
      return ok({ message: answer, keys: state.split() });
    },
  });
}

function mixShared(state: SymmetricState, own: KeyPair, peer: Uint8Array): boolean {
  const secret = sharedSecret(own, peer);
  if (secret === undefined) return false;
  state.mixKey(secret);
  return true;
}

import type { Result } from '@postern/core/base';
import { toHex } from '@postern/core/base';
import type { TransportKeys } from '../../../packages/server/src/coordination/noise/index.ts';
import {
  acceptControlClient,
  initiate,
  keyPairOf,
  RecordOpener,
  RecordSealer,
  respond,
  startControlClient,
} from '../../../packages/server/src/coordination/noise/index.ts';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { bytesOf, differs, isObject, judged, numberOf, objects, textOf } from './material.ts';

/** `ts2021`: our framing with fixed keys. `noise.vectors`: the published pattern. */
export function* noiseCases(content: Json): Iterable<CaseResult> {
  if (!isObject(content)) return;
  const { ts2021, noise } = content;
  if (isObject(ts2021)) yield* controlCases(ts2021);
  if (!isObject(noise)) return;
  let number = 0;
  for (const vector of objects(noise['vectors'])) {
    number += 1;
    yield* publishedCases(`noise-${number}`, vector);
  }
}

function* controlCases(c: JsonObject): Iterable<CaseResult> {
  yield judged('ts2021-client-handshake', () => {
    const { initiation, keys } = clientSide(c);
    return differs(toHex(initiation), textOf(c, 'initiation'), 'initiation') ?? keysDiffer(keys, c);
  });
  yield judged('ts2021-server-handshake', () => {
    const control = keyPairOf(bytesOf(c, 'controlPrivate'));
    const accepted = value(acceptControlClient(control, bytesOf(c, 'initiation')));
    const answered = value(accepted.answer(keyPairOf(bytesOf(c, 'serverEphemeralPrivate'))));
    return (
      differs(toHex(control.publicKey), textOf(c, 'controlPublic'), 'control key') ??
      differs(toHex(accepted.machine), textOf(c, 'machinePublic'), 'machine key') ??
      differs(accepted.version, numberOf(c, 'version'), 'version') ??
      differs(toHex(answered.response), textOf(c, 'response'), 'response') ??
      keysDiffer(answered.keys, c)
    );
  });
  for (const record of objects(c['clientRecords'])) {
    const counter = numberOf(record, 'counter');
    yield judged(`ts2021-record-${counter}`, () => {
      const key = bytesOf(c, 'clientToServerKey');
      return recordDiffers(key, counter, textOf(record, 'plaintext'), bytesOf(record, 'frame'));
    });
  }
}

function clientSide(c: JsonObject): { initiation: Uint8Array; keys: TransportKeys } {
  const started = value(
    startControlClient({
      version: numberOf(c, 'version'),
      machine: keyPairOf(bytesOf(c, 'machinePrivate')),
      control: bytesOf(c, 'controlPublic'),
      ephemeral: keyPairOf(bytesOf(c, 'clientEphemeralPrivate')),
    }),
  );
  return { initiation: started.initiation, keys: value(started.finish(bytesOf(c, 'response'))) };
}

function keysDiffer(keys: TransportKeys, c: JsonObject): string | undefined {
  return (
    differs(toHex(keys.initiatorKey), textOf(c, 'clientToServerKey'), 'client to server') ??
    differs(toHex(keys.responderKey), textOf(c, 'serverToClientKey'), 'server to client')
  );
}

function recordDiffers(
  key: Uint8Array,
  counter: number,
  plaintext: string,
  frame: Uint8Array,
): string | undefined {
  const sealer = new RecordSealer(key);
  const opener = new RecordOpener(key);
  const filler = Uint8Array.of(0);
  for (let i = 0; i < counter; i += 1) opener.push(sealer.seal(filler));
  const sealed = sealer.seal(Buffer.from(plaintext, 'utf8'));
  const opened = Buffer.concat(opener.push(frame).plaintexts).toString('utf8');
  return differs(toHex(sealed), toHex(frame), 'frame') ?? differs(opened, plaintext, 'opened');
}

/**
 * A published vector. Transport messages are compared at counter 0 only, the first of each direction: beyond it, the
 * specification counts in little-endian and ts2021 does not.
 */
function* publishedCases(id: string, c: JsonObject): Iterable<CaseResult> {
  const messages = objects(c['messages']);
  const [first, second, ...transport] = messages;
  if (first === undefined || second === undefined) {
    yield { id, pass: false, why: 'no handshake messages' };
    return;
  }
  let keys: TransportKeys | undefined;
  yield judged(`${id}-handshake`, () => {
    const result = publishedHandshake(c, first, second);
    ({ keys } = result);
    return result.why;
  });
  for (const [at, message] of transport.entries()) {
    const name = `${id}-transport-${at}`;
    if (at >= 2) {
      yield { id: name, pass: true, skip: true, why: 'little-endian counter above 0' };
      continue;
    }
    const key = at === 0 ? keys?.initiatorKey : keys?.responderKey;
    yield judged(name, () => {
      if (key === undefined) return 'the handshake failed';
      const sealed = new RecordSealer(key).seal(bytesOf(message, 'payload')).subarray(3);
      return differs(toHex(sealed), textOf(message, 'ciphertext'));
    });
  }
}

function publishedHandshake(
  c: JsonObject,
  first: JsonObject,
  second: JsonObject,
): { why: string | undefined; keys: TransportKeys } {
  const started = value(
    initiate({
      prologue: bytesOf(c, 'init_prologue'),
      own: keyPairOf(bytesOf(c, 'init_static')),
      responder: bytesOf(c, 'init_remote_static'),
      payload: bytesOf(first, 'payload'),
      ephemeral: keyPairOf(bytesOf(c, 'init_ephemeral')),
    }),
  );
  const accepted = value(
    respond(
      bytesOf(c, 'resp_prologue'),
      keyPairOf(bytesOf(c, 'resp_static')),
      bytesOf(first, 'ciphertext'),
    ),
  );
  const answered = value(
    accepted.answer(bytesOf(second, 'payload'), keyPairOf(bytesOf(c, 'resp_ephemeral'))),
  );
  const finished = value(started.finish(bytesOf(second, 'ciphertext')));
  const why =
    differs(toHex(started.message), textOf(first, 'ciphertext'), 'first message') ??
    differs(toHex(accepted.payload), textOf(first, 'payload'), 'first payload') ??
    differs(toHex(answered.message), textOf(second, 'ciphertext'), 'second message') ??
    differs(toHex(finished.payload), textOf(second, 'payload'), 'second payload') ??
    differs(toHex(finished.keys.handshakeHash), textOf(c, 'handshake_hash'), 'hash') ??
    differs(toHex(answered.keys.handshakeHash), textOf(c, 'handshake_hash'), 'hash');
  return { why, keys: answered.keys };
}

function value<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

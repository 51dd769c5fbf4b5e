import { fromHex, present, toHex } from '@postern/core/base';
import {
  formatNodeKey,
  parseNodeKey,
} from '../../../packages/server/src/coordination/derp/index.ts';
import { machineKeyText } from '../../../packages/server/src/coordination/control-key.ts';
import { keyPairOf } from '../../../packages/server/src/coordination/noise/index.ts';
import { keyAt } from '../../../packages/server/src/coordination/protocol/read.ts';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { differs, isObject, judged, textOf } from './material.ts';

/** `keys`: texts of private keys with the public text that belongs to them. */
export function* keyCases(content: Json): Iterable<CaseResult> {
  if (!isObject(content) || !isObject(content['keys'])) return;
  for (const [name, entry] of Object.entries(content['keys'])) {
    if (isObject(entry)) yield judged(`key-${name}`, () => keyDiffers(name, entry));
  }
}

function keyDiffers(name: string, entry: JsonObject): string | undefined {
  if (name === 'control') {
    const bytes = entry['PrivateKey'];
    if (!Array.isArray(bytes)) return 'no byte array';
    return differs(keyPairOf(Uint8Array.from(bytes.map(Number))).publicKey.length, 32, 'length');
  }
  const pub = textOf(entry, 'Pub');
  const prefix = pub.slice(0, pub.indexOf(':'));
  const read = keyAt(entry, 'Pub', prefix);
  if (read !== pub) return `the public text is not read: ${pub}`;
  if (typeof entry['Priv'] !== 'string') return undefined;
  const priv = textOf(entry, 'Priv');
  const raw = present(fromHex(priv.slice('privkey:'.length)), 'private key');
  const { publicKey } = keyPairOf(raw);
  if (name === 'machine') return differs(machineKeyText(publicKey), pub, 'machine key');
  const parsed = parseNodeKey(pub);
  return (
    differs(formatNodeKey(publicKey), pub, 'node key') ??
    differs(parsed === undefined ? undefined : toHex(parsed), toHex(publicKey), 'read back')
  );
}

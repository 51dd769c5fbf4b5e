import { toHex } from '../../base/bytes.ts';
import { readMsgpack } from '../../base/msgpack/index.ts';
import type { MsgpackValue } from '../../base/msgpack/index.ts';

/** The identifying part of dstack's AppInfo (extension .9). A claim of the issuer, not evidence. */
export interface AppInfoClaim {
  readonly appId: string;
  readonly composeHash: string;
  readonly instanceId: string;
}

const fieldsMin = 8;
const fieldsMax = 9;

/** Reads the positional MessagePack array, or undefined where it is another shape. */
export function readAppInfo(bytes: Uint8Array): AppInfoClaim | undefined {
  const read = readMsgpack(bytes);
  if (!read.ok || !Array.isArray(read.value)) return undefined;
  // Array.isArray gives any[]; the elements are MessagePack values by the reader.
  const fields = read.value as readonly MsgpackValue[];
  if (fields.length < fieldsMin || fields.length > fieldsMax) return undefined;
  const [appId, composeHash, instanceId] = fields.map(hexOf);
  if (appId === undefined || composeHash === undefined || instanceId === undefined) {
    return undefined;
  }
  return { appId, composeHash, instanceId };
}

function hexOf(value: MsgpackValue): string | undefined {
  if (value instanceof Uint8Array) return toHex(value);
  if (!Array.isArray(value)) return undefined;
  const isBytes = value.every((item) => typeof item === 'number' && item >= 0 && item <= 255);
  return isBytes ? toHex(Uint8Array.from(value)) : undefined;
}

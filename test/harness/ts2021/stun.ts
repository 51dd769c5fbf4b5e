import { formatAddr } from '@postern/core/base/netip';
import {
  formatBindingResponse,
  isStun,
  parseBindingResponse,
} from '../../../packages/server/src/coordination/stun/index.ts';
import { parseAddr } from '@postern/core/base/netip';
import { toHex } from '@postern/core/base';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { bytesOf, differs, judged, numberOf, objects, textOf } from './material.ts';

/** A list of questions about STUN messages, told by `op`. */
export function* stunCases(content: Json): Iterable<CaseResult> {
  for (const c of objects(content)) {
    const { op, name } = c;
    if (typeof op !== 'string' || typeof name !== 'string') continue;
    yield judged(`stun-${name}`, () => answer(op, c));
  }
}

function answer(op: string, c: JsonObject): string | undefined {
  switch (op) {
    case 'isStun':
      return differs(isStun(bytesOf(c, 'data')), c['expected']);
    case 'parseResponse':
      return responseDiffers(bytesOf(c, 'data'), c);
    case 'buildAndParseResponse': {
      const address = parseAddr(textOf(c, 'address'));
      if (!address.ok) return address.error;
      const from = { addr: address.value, port: numberOf(c, 'port') };
      return responseDiffers(formatBindingResponse(bytesOf(c, 'txId'), from), c);
    }
    default:
      return `unknown op ${op}`;
  }
}

function responseDiffers(data: Uint8Array, c: JsonObject): string | undefined {
  const parsed = parseBindingResponse(data);
  if (!parsed.ok) return `not read: ${JSON.stringify(parsed.error)}`;
  const { id, from } = parsed.value;
  const want = parseAddr(textOf(c, 'address'));
  return (
    differs(toHex(id), textOf(c, 'txId'), 'transaction') ??
    differs(formatAddr(from.addr), want.ok ? formatAddr(want.value) : 'no address', 'address') ??
    differs(from.port, numberOf(c, 'port'), 'port')
  );
}

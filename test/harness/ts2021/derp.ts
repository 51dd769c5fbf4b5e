import { concatBytes, present, toHex } from '@postern/core/base';
import {
  boxKey,
  formatFrameHeader,
  frameType,
  magic,
  openBox,
  parseClientInfo,
  parseFrameHeader,
  parseMeshKey,
  sealBox,
} from '../../../packages/server/src/coordination/derp/index.ts';
import { keyPairOf } from '../../../packages/server/src/coordination/noise/index.ts';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { bytesOf, differs, isObject, judged, numberOf, objects, textOf } from './material.ts';

/** `derp…` and `naclBox`: mesh keys, frame types and headers, client infos, the magic, a box with fixed keys. */
export function* derpCases(content: Json): Iterable<CaseResult> {
  if (!isObject(content)) return;
  for (const c of objects(content['derpMeshKeys'])) {
    yield judged(`derp-mesh-key-${textOf(c, 'name')}`, () =>
      differs(parseMeshKey(textOf(c, 'input')), c['valid'] === true ? c['normalized'] : undefined),
    );
  }
  if (isObject(content['derpFrameTypes'])) {
    const ours = new Map(
      Object.entries(frameType).map(([name, type]) => [name.toLowerCase(), type]),
    );
    for (const [name, want] of Object.entries(content['derpFrameTypes'])) {
      yield judged(`derp-type-${name}`, () => differs(ours.get(name.toLowerCase()), want));
    }
  }
  for (const c of objects(content['derpFrameHeaders'])) {
    yield judged(`derp-header-${textOf(c, 'name')}`, () => headerDiffers(c));
  }
  for (const c of objects(content['derpClientInfo'])) {
    yield judged(`derp-client-info-${textOf(c, 'name')}`, () => clientInfoDiffers(c));
  }
  if (typeof content['derpMagic'] === 'string') {
    yield judged('derp-magic', () => differs(toHex(magic), content['derpMagic']));
  }
  const box = content['naclBox'];
  if (isObject(box)) yield judged('nacl-box', () => boxDiffers(box));
}

function headerDiffers(c: JsonObject): string | undefined {
  const header = bytesOf(c, 'header');
  const parsed = present(parseFrameHeader(header), 'frame header');
  return (
    differs(toHex(formatFrameHeader(numberOf(c, 'type'), numberOf(c, 'length'))), toHex(header)) ??
    differs(parsed.type, numberOf(c, 'type'), 'type') ??
    differs(parsed.length, numberOf(c, 'length'), 'length')
  );
}

function clientInfoDiffers(c: JsonObject): string | undefined {
  const parsed = parseClientInfo(Buffer.from(textOf(c, 'json'), 'utf8'));
  const wrong = differs(parsed.ok, c['accepted'], 'accepted');
  if (wrong !== undefined) return wrong;
  if (!parsed.ok) return differs(parsed.error, c['error'], 'error');
  return differs(parsed.value.version, c['version'] ?? 0, 'version');
}

function boxDiffers(c: JsonObject): string | undefined {
  const sender = keyPairOf(bytesOf(c, 'senderPrivate'));
  const recipient = keyPairOf(bytesOf(c, 'recipientPrivate'));
  const nonce = bytesOf(c, 'nonce');
  const key = present(boxKey(sender, recipient.publicKey), 'key of the sender');
  const back = present(boxKey(recipient, sender.publicKey), 'key of the recipient');
  const sealed = concatBytes(nonce, bytesOf(c, 'box'));
  const opened = openBox(back, sealed);
  return (
    differs(toHex(sealBox(key, nonce, bytesOf(c, 'message'))), toHex(sealed), 'sealed') ??
    differs(opened === undefined ? undefined : toHex(opened), textOf(c, 'message'), 'opened')
  );
}

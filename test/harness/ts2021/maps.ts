import { zstdDecompressSync } from 'node:zlib';
import { isDeepStrictEqual } from 'node:util';
import { formatPrefix, parseAddr, parsePrefix } from '@postern/core/base/netip';
import type { Machine } from '../../../packages/server/src/coordination/netmap/machine.ts';
import { peerTextOf } from '../../../packages/server/src/coordination/netmap/node-text.ts';
import { mapFrame } from '../../../packages/server/src/coordination/protocol/frame.ts';
import { readHostinfo } from '../../../packages/server/src/coordination/protocol/hostinfo.ts';
import { keyAt, textsAt } from '../../../packages/server/src/coordination/protocol/read.ts';
import type { CaseResult } from '../suite.ts';
import type { Json, JsonObject } from './material.ts';
import { isObject, judged, numberOf, objects, textOf } from './material.ts';

/** A map response or one node of it, as a real client read it: what it says, our server must be able to say. */
export function* mapCases(content: Json): Iterable<CaseResult> {
  if (!isObject(content)) return;
  if (typeof content['StableID'] === 'string') yield* nodeCases('node', content);
  if (!isObject(content['Node']) && !Array.isArray(content['Peers'])) return;
  yield judged('map-frame', () => frameDiffers(content));
  if (isObject(content['Node'])) yield* nodeCases('map-self', content['Node']);
  for (const name of ['Peers', 'PeersChanged']) {
    for (const [at, peer] of objects(content[name]).entries()) {
      yield* nodeCases(`map-${name}-${at}`, peer);
    }
  }
}

/** Our frame gives back what went in, with and without zstd. */
function frameDiffers(content: JsonObject): string | undefined {
  const text = JSON.stringify(content);
  for (const isZstd of [true, false]) {
    const frame = mapFrame(text, isZstd);
    const body = frame.subarray(4);
    if (frame.readUInt32LE(0) !== body.length) return 'the length is not that of the body';
    const back = isZstd ? zstdDecompressSync(body) : body;
    if (back.toString('utf8') !== text) return `the text changed (zstd: ${isZstd})`;
  }
  return undefined;
}

function* nodeCases(id: string, node: JsonObject): Iterable<CaseResult> {
  yield judged(id, () => {
    const ours: JsonObject = JSON.parse(peerTextOf(machineOf(node), contextOf(node)));
    const wrong = compared.filter((name) => !isSame(name, ours[name], node[name]));
    return wrong.length === 0
      ? undefined
      : wrong
          .map((name) => `${name}: ${JSON.stringify(ours[name])} for ${JSON.stringify(node[name])}`)
          .join('; ');
  });
}

const compared = [
  'ID',
  'StableID',
  'Name',
  'User',
  'Key',
  'KeyExpiry',
  'DiscoKey',
  'Addresses',
  'Endpoints',
  'HomeDERP',
  'Created',
  'Cap',
  'Tags',
  'Hostinfo',
] as const;

/** Absent, null, empty and zero are one to a client; times are kept in milliseconds here. */
function isSame(name: string, ours: Json, theirs: Json): boolean {
  if (isNothing(ours) && isNothing(theirs)) return true;
  if (name === 'Hostinfo' && isObject(ours) && isObject(theirs)) {
    return Object.keys(ours).every((part) => isDeepStrictEqual(ours[part], theirs[part]));
  }
  if (typeof ours === 'string' && typeof theirs === 'string' && /^\d{4}-/.test(theirs)) {
    return Date.parse(ours) === Date.parse(theirs.replace(/(\.\d{3})\d+/, '$1'));
  }
  return isDeepStrictEqual(ours, theirs);
}

function isNothing(value: Json): boolean {
  if (value === undefined || value === null || value === 0 || value === '') return true;
  if (typeof value === 'string') return /:0{64}$/.test(value);
  return Array.isArray(value) && value.length === 0;
}

function contextOf(node: JsonObject): Parameters<typeof peerTextOf>[1] {
  const name = textOf(node, 'Name').replace(/\.$/, '');
  return {
    baseDomain: name.slice(name.indexOf('.') + 1),
    userNumber: numberOf(node, 'User'),
    primaryRoutes: [],
    exitRoutes: [],
  };
}

/** A machine of ours with the facts of that node. */
function machineOf(node: JsonObject): Machine {
  const addresses = textsAt(node, 'Addresses', 8).map((text) => {
    const prefix = parsePrefix(text);
    if (!prefix.ok || formatPrefix(prefix.value) !== text) throw new Error(`${text} is no prefix`);
    return text.slice(0, text.indexOf('/'));
  });
  for (const text of addresses) if (!parseAddr(text).ok) throw new Error(`${text} is no address`);
  const expiry = node['KeyExpiry'];
  const isMortal = typeof expiry === 'string' && !expiry.startsWith('0001-');
  return {
    slot: 0,
    isActive: true,
    online: node['Online'] === true,
    awaySinceMs: undefined,
    peerText: undefined,
    record: {
      id: textOf(node, 'StableID'),
      number: numberOf(node, 'ID'),
      machineKey: keyAt(node, 'Machine', 'mkey') ?? '',
      nodeKey: keyAt(node, 'Key', 'nodekey') ?? '',
      name: textOf(node, 'Name').split('.', 1)[0] ?? '',
      isNamed: false,
      tags: textsAt(node, 'Tags', 64),
      addresses,
      approved: true,
      ephemeral: false,
      approvedRoutes: [],
      createdAtMs: Date.parse(textOf(node, 'Created')),
      ...(isMortal ? { keyExpiresAtMs: Date.parse(expiry) } : {}),
    },
    report: {
      version: Number(node['Cap'] ?? 0),
      discoKey: keyAt(node, 'DiscoKey', 'discokey') ?? '',
      endpoints: textsAt(node, 'Endpoints', 64),
      derp: Number(node['HomeDERP'] ?? 0),
      lastSeenMs: 0,
      hostinfo: readHostinfo(node['Hostinfo'] ?? {}) ?? readEmpty(),
    },
  };
}

function readEmpty(): NonNullable<ReturnType<typeof readHostinfo>> {
  const info = readHostinfo({});
  if (info === undefined) throw new Error('an empty host info is one');
  return info;
}

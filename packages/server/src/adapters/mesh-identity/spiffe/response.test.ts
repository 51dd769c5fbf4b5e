import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { authority, leaf } from '../../../../../../test/fakes/pki.ts';
import { protoField, x509Response } from '../../../../../../test/fakes/spire-agent.ts';
import { protoFieldsMax, readProto } from './protobuf.ts';
import { readX509Response } from './response.ts';
import { workloadApiAddress } from './workload-api.ts';

const root = authority('root');
const other = authority('other');
const uri = 'spiffe://mesh.example/app/x';
const made = leaf([`uri:${uri}`], { issuer: root });
const svid = {
  spiffeId: uri,
  chain: [made.der, root.der],
  key: made.key.privateKey,
  bundle: [root.der],
};

describe('the reader of protobuf', () => {
  test('gives back every field of bytes in order', () => {
    const field = fc.tuple(fc.integer({ min: 1, max: 536_870_911 }), fc.uint8Array());
    fc.assert(
      fc.property(fc.array(field, { maxLength: 20 }), (fields) => {
        const bytes = Buffer.concat(fields.map(([number, value]) => protoField(number, value)));
        const read = readProto(new Uint8Array(bytes));
        expect(read.ok && read.value.map((each) => [each.number, each.value])).toEqual(fields);
      }),
    );
  });
  test('gives fields or a sentence for any bytes', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readProto(bytes)));
  });
  test('refuses groups, the field 0, cut fields and more fields than there may be', () => {
    for (const bytes of [[0x0b], [0x02, 0x00], [0x0a, 0x05, 1], [0x09, 1, 2], [0x80], [0x08, 0x80]])
      expect(readProto(Uint8Array.from(bytes)).ok).toBe(false);
    const eleven = [0x08, ...Array.from({ length: 10 }, () => 0xff), 1];
    expect(readProto(Uint8Array.from(eleven)).ok).toBe(false);
    expect(readProto(new Uint8Array(2 * (protoFieldsMax + 1)).fill(8)).ok).toBe(false);
    expect(readProto(Uint8Array.from([0x0d, 1, 2, 3, 4])).ok).toBe(true);
  });
});

describe('the reader of identities', () => {
  test('reads identity, own bundle and federated bundles', () => {
    const read = readX509Response(
      x509Response({ svids: [svid], federated: { 'other.example': [other.der] } }),
    );
    if (!read.ok) throw new Error(read.error);
    expect(read.value.svids.map(({ spiffeId, chain }) => [spiffeId, chain.length])).toEqual([
      [uri, 2],
    ]);
    expect([...read.value.bundles.keys()].toSorted()).toEqual(['mesh.example', 'other.example']);
    expect(JSON.stringify(read.value.svids[0]?.key)).not.toContain('M');
  });
  test('lets nobody federated speak for our own domain', () => {
    const read = readX509Response(
      x509Response({ svids: [svid], federated: { 'mesh.example': [other.der] } }),
    );
    const [own] = (read.ok && read.value.bundles.get('mesh.example')?.authorities) || [];
    expect(own?.bytes).toEqual(root.der);
  });
  test('refuses a whole message for one part that is malformed', () => {
    for (const bad of [
      { svids: [] },
      { svids: [svid, { ...svid, spiffeId: 'spiffe://mesh.example' }] },
      { svids: [{ ...svid, spiffeId: 'https://mesh.example/x' }] },
      { svids: [{ ...svid, chain: [] }] },
      { svids: [{ ...svid, chain: [made.der.slice(0, -1)] }] },
      { svids: [{ ...svid, bundle: [Uint8Array.of(0x30, 1, 0)] }] },
      { svids: [svid], federated: { 'Other.example': [] } },
      { svids: [svid], federated: { 'other.example': [root.der.slice(1)] } },
    ])
      expect(readX509Response(x509Response(bad)).ok).toBe(false);
  });
  test('gives something for every one of its own bytes changed', () => {
    const good = x509Response({ svids: [svid], federated: { 'other.example': [other.der] } });
    fc.assert(
      fc.property(fc.nat({ max: good.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
        const changed = good.slice();
        changed[at] = value;
        void readX509Response(changed);
      }),
    );
  });
});

test('only unix sockets are endpoints', () => {
  for (const [text, address] of [
    ['unix:///run/spire/agent.sock', 'unix:/run/spire/agent.sock'],
    ['unix:/a', 'unix:/a'],
    ['/a/b', 'unix:/a/b'],
    ['tcp://127.0.0.1:8000', undefined],
    ['unix://host/a', undefined],
    ['a', undefined],
    ['', undefined],
  ] as const)
    expect(workloadApiAddress(text)).toBe(address);
});

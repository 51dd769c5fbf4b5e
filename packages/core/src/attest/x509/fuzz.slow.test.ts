/**
 * Seeded mutation of well-formed DER, certificates, lists and requests. Nothing may throw, an accepted
 * input is accepted as itself, and a declared length may not allocate.
 */
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import {
  altNames,
  authority,
  extendedKeyUsage,
  extension,
  leaf,
  nameConstraints,
  revocationList,
  testKey,
} from '../../../../../test/fakes/pki.ts';
import { concatBytes } from '../../base/index.ts';
import { decodeDer, der, readDer, readPem, writePem } from '../../base/der/index.ts';
import {
  extensionOid,
  parseCertificate,
  parseCertificateRequest,
  parseRevocationList,
} from './index.ts';

/** xorshift32: the same inputs for the same seed on every machine. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

type Random = ReturnType<typeof generator>;

const interesting = [0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0x30, 0x31, 0xa0, 0xa3];

function mutateOnce(bytes: Uint8Array, random: Random): Uint8Array {
  const at = random(bytes.length + 1);
  const copy = bytes.slice();
  switch (random(7)) {
    case 0:
      copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
      return copy;
    case 1:
      copy[at] = interesting[random(interesting.length)] ?? 0;
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      return concatBytes(copy.subarray(0, at), Uint8Array.of(random(256)), copy.subarray(at));
    case 4:
      return concatBytes(copy.subarray(0, at), copy.subarray(at + 1 + random(8)));
    case 5: {
      // A length of four octets somewhere: up to four gigabytes are declared.
      const length = Uint8Array.of(0x84, random(256), random(256), random(256), random(256));
      return concatBytes(copy.subarray(0, at), length, copy.subarray(at + random(3)));
    }
    default: {
      const from = random(bytes.length + 1);
      return concatBytes(
        copy.subarray(0, at),
        copy.subarray(from, from + random(64)),
        copy.subarray(at),
      );
    }
  }
}

function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let mutated = bytes;
  for (let rounds = 1 + random(3); rounds > 0; rounds -= 1) mutated = mutateOnce(mutated, random);
  return mutated;
}

const root = authority('root', {
  extensions: [nameConstraints(['dns:example', 'email:.b.example', 'uri:c', 'dn:x'], ['dns:d'])],
});
const end = leaf(
  ['dns:a.example', 'ip:10.0.0.1', 'uri:spiffe://a/b', 'email:a@b.example', 'dn:x'],
  {
    issuer: root,
    key: testKey('P-384'),
    extensions: [
      extension(
        extensionOid.certificatePolicies,
        der.sequence(der.sequence(der.oid('2.23.140.1.2.1'))),
      ),
    ],
  },
);
const rich = authority('rich', {
  issuer: root,
  pathLength: 3,
  extensions: [altNames(['dns:*.example.com']), extendedKeyUsage('2.5.29.37.0')],
});
const lists = [
  revocationList(root),
  revocationList(root, { serials: Array.from({ length: 50 }, (_, i) => i + 1) }),
];
const request = der.sequence(
  der.sequence(der.integer(0), der.sequence(), end.key.spki, der.element(0xa0)),
  der.sequence(der.oid('1.2.840.10045.4.3.2')),
  der.bitString(new Uint8Array(70)),
);

interface Target {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  readonly rounds: number;
  readonly run: (bytes: Uint8Array) => { readonly ok: boolean };
}

const targets: readonly Target[] = [
  {
    name: 'any DER',
    seeds: [
      root.der,
      end.der,
      request,
      der.sequence(der.integer(-1), der.setOf(der.boolean(true))),
    ],
    rounds: 120_000,
    run: (bytes) => decodeDer(bytes, (element) => element.checkTree()),
  },
  {
    name: 'DER with more after it',
    seeds: [end.der],
    rounds: 30_000,
    run: (bytes) => readDer(bytes, (element) => element.sequenceOf((part) => part.tag)),
  },
  {
    name: 'certificates',
    seeds: [root.der, end.der, rich.der],
    rounds: 120_000,
    run: parseCertificate,
  },
  { name: 'revocation lists', seeds: lists, rounds: 60_000, run: parseRevocationList },
  { name: 'requests', seeds: [request], rounds: 60_000, run: parseCertificateRequest },
  {
    name: 'PEM',
    seeds: [new TextEncoder().encode(writePem({ label: 'CERTIFICATE', bytes: root.der }))],
    rounds: 30_000,
    run: (bytes) => readPem(new TextDecoder('latin1').decode(bytes)),
  },
];

describe('mutated input', () => {
  test.each(targets)('of $name is refused or read, never thrown at', ({ seeds, rounds, run }) => {
    const random = generator(0x5eed);
    const before = process.memoryUsage().arrayBuffers;
    let accepted = 0;
    for (let round = 0; round < rounds; round += 1) {
      const seed = seeds[round % seeds.length] ?? new Uint8Array();
      if (run(mutate(seed, random)).ok) accepted += 1;
    }
    const grown = process.memoryUsage().arrayBuffers - before;
    expect(accepted).toBeLessThan(rounds);
    expect(grown).toBeLessThan(512 << 20);
  });

  test('starts from input that is accepted', () => {
    for (const { seeds, run } of targets) {
      for (const seed of seeds) expect(run(seed).ok).toBe(true);
    }
  });
});

test('a certificate that is accepted after mutation is read the same way again', () => {
  const random = generator(0xabcd);
  for (let round = 0; round < 30_000; round += 1) {
    const parsed = parseCertificate(mutate(end.der, random));
    if (!parsed.ok) continue;
    const again = parseCertificate(parsed.value.bytes.slice());
    expect(again).toEqual(parsed);
  }
});

test('input of random octets is refused or read', () => {
  const random = generator(0x1234);
  for (let round = 0; round < 100_000; round += 1) {
    const bytes = Uint8Array.from({ length: random(64) }, () => random(256));
    decodeDer(bytes, (element) => element.checkTree());
    parseCertificate(bytes);
  }
});

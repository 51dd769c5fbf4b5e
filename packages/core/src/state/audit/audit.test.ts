import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { Fault, fromHex, present, toHex, utf8 } from '@postern/core/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalJson } from '../canonical.ts';
import {
  auditLimits,
  checkpointText,
  consistencyRanges,
  cosignNote,
  inclusionRanges,
  isConsistent,
  leafHash,
  noteAlgorithms,
  notesAfterCut,
  noteKeyText,
  noteText,
  RangeHasher,
  readBody,
  readCheckpoint,
  readNote,
  readNoteKey,
  recordBody,
  rootOfInclusion,
  signNote,
  splitNotes,
  TreeEdge,
  verifyNote,
} from './index.ts';

const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());

/** The leaves of RFC 6962's reference implementation (Certificate Transparency, merkle_tree_test). */
const knownLeaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const knownRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

function leavesOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => leafHash(utf8(`leaf ${i}`), sha256));
}

function rootOf(leaves: readonly Uint8Array[]): Uint8Array {
  const edge = new TreeEdge(sha256);
  for (const leaf of leaves) edge.append(leaf);
  return edge.root();
}

describe('the tree', () => {
  test('has the roots of the reference implementation', () => {
    const edge = new TreeEdge(sha256);
    expect(toHex(edge.root())).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    const roots = knownLeaves.map((leaf) => {
      edge.append(leafHash(present(fromHex(leaf), 'hex'), sha256));
      return toHex(edge.root());
    });
    expect(roots).toEqual(knownRoots);
  });

  test('goes on from its edge', () => {
    const leaves = leavesOf(23);
    const first = new TreeEdge(sha256);
    for (const leaf of leaves.slice(0, 13)) first.append(leaf);
    const second = new TreeEdge(sha256, { size: first.size, hashes: first.hashes });
    for (const leaf of leaves.slice(13)) second.append(leaf);
    expect(second.root()).toEqual(rootOf(leaves));
    expect(() => new TreeEdge(sha256, { size: 3, hashes: [] })).toThrow(Fault);
  });

  test('a proof of inclusion leads to the root, and a proof of anything else does not', () => {
    for (let size = 1; size <= 33; size += 1) {
      const leaves = leavesOf(size);
      const root = rootOf(leaves);
      for (const [index, leaf] of leaves.entries()) {
        const hasher = new RangeHasher(inclusionRanges(index, size), sha256);
        for (const each of leaves) hasher.append(each);
        const proof = present(hasher.hashes(), 'all leaves went by');
        const claim = { leaf, index, size, proof };
        expect(rootOfInclusion(claim, sha256)).toEqual(root);
        const other = leavesOf(size + 1).at(-1) ?? leaf;
        expect(rootOfInclusion({ ...claim, leaf: other }, sha256)).not.toEqual(root);
        expect(rootOfInclusion({ ...claim, index: size }, sha256)).toBeUndefined();
        expect(rootOfInclusion({ ...claim, proof: [...proof, root] }, sha256)).toBeUndefined();
      }
    }
  });

  test('a proof of consistency holds between any two sizes, and for no other root', () => {
    for (let size = 1; size <= 33; size += 1) {
      const leaves = leavesOf(size);
      const newer = { size, root: rootOf(leaves) };
      for (let older = 1; older <= size; older += 1) {
        const hasher = new RangeHasher(consistencyRanges(older, size), sha256);
        for (const each of leaves) hasher.append(each);
        const proof = present(hasher.hashes(), 'all leaves went by');
        const root = rootOf(leaves.slice(0, older));
        expect(isConsistent({ older: { size: older, root }, newer, proof }, sha256)).toBe(true);
        const wrong = sha256(root);
        const claims = [
          { older: { size: older, root: wrong }, newer, proof },
          { older: { size: older, root }, newer: { size, root: wrong }, proof },
          { older: { size: older, root }, newer, proof: [...proof, wrong] },
        ];
        for (const claim of claims) expect(isConsistent(claim, sha256)).toBe(false);
      }
    }
  });
});

const secret = createPrivateKey({
  key: Buffer.from(
    '302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'hex',
  ),
  format: 'der',
  type: 'pkcs8',
});
const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
const key = {
  name: 'log.example/a',
  algorithm: noteAlgorithms.ed25519,
  publicKey: new Uint8Array(spki.subarray(12)),
};
const crypto = {
  sha256,
  sign: (message: Uint8Array) => new Uint8Array(sign(null, message, secret)),
  verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => {
    const der = Buffer.concat([spki.subarray(0, 12), publicKey]);
    return verify(
      null,
      message,
      createPublicKey({ key: der, format: 'der', type: 'spki' }),
      signature,
    );
  },
};

describe('signed notes', () => {
  test('verify under their key alone', () => {
    const note = { text: 'a\n3\nb\n', signatures: [signNote('a\n3\nb\n', key, crypto)] };
    const read = present(readNote(noteText(note)), 'a note');
    expect(read).toEqual(note);
    expect(verifyNote(read, key, crypto)).toEqual({ timeMs: undefined });
    expect(verifyNote({ ...read, text: 'a\n4\nb\n' }, key, crypto)).toBeUndefined();
    expect(verifyNote(read, { ...key, name: 'log.example/b' }, crypto)).toBeUndefined();
  });

  test('verify the example of the specification', () => {
    // c2sp.org/signed-note and golang.org/x/mod/sumdb/note: the key and note of the package's own example.
    const peter = present(
      readNoteKey('PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', sha256),
      'a key',
    );
    const text =
      'If you think cryptography is the answer to your problem,\nthen you don’t know what your problem is.\n\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'.replace(
        '’',
        "'",
      );
    const note = present(readNote(text), 'a note');
    expect(verifyNote(note, peter, crypto)).toEqual({ timeMs: undefined });
  });

  test('carry what witnesses say, with its time', () => {
    const witness = { ...key, name: 'witness.example', algorithm: noteAlgorithms.cosignature };
    const text = 'log.example/a\n1\nAAAA\n';
    const signatures = [
      signNote(text, key, crypto),
      cosignNote(text, { key: witness, atMs: 1_767_225_600_500 }, crypto),
    ];
    const note = present(readNote(noteText({ text, signatures })), 'a note');
    expect(verifyNote(note, witness, crypto)).toEqual({ timeMs: 1_767_225_600_000 });
    expect(verifyNote(note, key, crypto)).toEqual({ timeMs: undefined });
    expect(verifyNote({ ...note, text: 'x\n' }, witness, crypto)).toBeUndefined();
  });

  test('keys have one text', () => {
    const text = noteKeyText(key, sha256);
    expect(readNoteKey(text, sha256)).toEqual(key);
    expect(readNoteKey(text.replace('log.', 'lag.'), sha256)).toBeUndefined();
    expect(readNoteKey(`${text}=`, sha256)).toBeUndefined();
  });

  test('no text makes the reader throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const note = readNote(`${text}\n\n— ${text} AAAAAAAA\n`);
        if (note !== undefined) expect(readNote(noteText(note))).toEqual(note);
        readCheckpoint(text);
        splitNotes(text);
      }),
    );
  });
});

describe('checkpoints', () => {
  const checkpoint = {
    origin: 'log.example/a',
    size: 7,
    root: sha256(utf8('root')),
    atMs: 12,
    chain: sha256(utf8('chain')),
    journal: { index: 3, hash: 'ab'.repeat(32) },
  };

  test('come back from their text, and extension lines of others are passed over', () => {
    const text = checkpointText(checkpoint);
    expect(readCheckpoint(text)).toEqual(checkpoint);
    expect(readCheckpoint(`${text}other line\n`)).toEqual(checkpoint);
    const { journal: _, ...rest } = checkpoint;
    const without = { ...rest, journal: undefined };
    expect(readCheckpoint(checkpointText(without))).toEqual(without);
  });

  test.each(['07', '-1', '1e3', '', '99999999999999999'])('a size of "%s" is none', (size) => {
    expect(
      readCheckpoint(checkpointText(checkpoint).replace('\n7\n', `\n${size}\n`)),
    ).toBeUndefined();
  });

  test('notes in one file come apart again', () => {
    const note = noteText({
      text: checkpointText(checkpoint),
      signatures: [signNote(checkpointText(checkpoint), key, crypto)],
    });
    expect(splitNotes(`${note}\n${note}\n`)).toEqual([note, note]);
    expect(splitNotes(note)).toEqual([note]);
    expect(splitNotes('')).toEqual([]);
  });

  test('an append that was cut short anywhere spoils no note after it', () => {
    const note = noteText({
      text: checkpointText(checkpoint),
      signatures: [signNote(checkpointText(checkpoint), key, crypto)],
    });
    for (let cut = 1; cut < note.length; cut += 1) {
      const torn = note.slice(0, cut);
      // The next append ends it first, unless it ended so by chance.
      const ended = torn.endsWith('\n\n') ? torn : `${torn}\n\n`;
      expect(splitNotes(`${note}\n${ended}${note}\n${note}\n`).slice(-2)).toEqual([note, note]);
    }
  });

  test('a rest that begins anywhere holds the notes behind it, and none that is cut', () => {
    const noteAt = (size: number): string => {
      const text = checkpointText({ ...checkpoint, size });
      return noteText({ text, signatures: [signNote(text, key, crypto)] });
    };
    const file = [1, 2, 3, 4].map((size) => `${noteAt(size)}\n`).join('');
    const all = splitNotes(file);
    const lengths = new Set<number>();
    for (let at = 0; at < file.length; at += 1) {
      const after = notesAfterCut(file.slice(at));
      expect(after).toEqual(all.slice(all.length - after.length));
      lengths.add(after.length);
    }
    expect([...lengths]).toEqual([3, 2, 1, 0]);
    const torn = noteAt(9).slice(0, 40);
    expect(notesAfterCut(`${noteAt(1)}\n${torn}\n\n${noteAt(2)}\n`)).toEqual([torn, noteAt(2)]);
  });
});

describe('records', () => {
  const record = {
    kind: 'request',
    v: 1,
    atMs: 5,
    fields: { b: 2, a: 'x', c: { e: [1, true], d: 'y' } },
  };

  test('have canonical text, sorted or not, and come back from it', () => {
    const body = recordBody(record, 9);
    expect(body).toBe(
      '{"at":5,"data":{"a":"x","b":2,"c":{"d":"y","e":[1,true]}},"i":9,"kind":"request","v":1}',
    );
    expect(readBody(body)).toEqual({ ...record, index: 9 });
  });

  test('any text of a caller becomes one line of canonical JSON', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const body = recordBody({ ...record, fields: { a, b } }, 1);
        expect(body).not.toMatch(/[\r\n]/);
        expect(canonicalJson(JSON.parse(body))).toBe(body);
        expect(body.isWellFormed()).toBe(true);
      }),
    );
  });

  test('long texts are cut, lone surrogates replaced, undefined fields left out', () => {
    const fields = { a: 'x'.repeat(600), b: '\ud800', c: undefined };
    const read = present(readBody(recordBody({ ...record, fields }, 1)), 'a record');
    expect(read.fields).toEqual({ a: 'x'.repeat(auditLimits.textCharsMax), b: '\ufffd' });
  });

  test.each([{ a: 1.5 }, { a: Number.NaN }, { A: 1 }, { a: { 'b c': 1 } }])(
    'a field that the format does not have is a defect: %j',
    (fields) => {
      expect(() => recordBody({ ...record, fields }, 1)).toThrow(Fault);
    },
  );

  test.each([
    '',
    '[]',
    '{"at":1}',
    '{"at":1,"data":{},"i":1,"kind":"X","v":1}',
    '{"at":1.5,"data":{},"i":1,"kind":"x","v":1}',
  ])('no record: %s', (body) => {
    expect(readBody(body)).toBeUndefined();
  });
});

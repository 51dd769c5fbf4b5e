import { spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { present } from '@postern/core/base';
import type { NoteKey } from '@postern/core/state/audit';
import {
  cosignNote,
  noteAlgorithms,
  noteText,
  readNote,
  readNoteKey,
} from '@postern/core/state/audit';
import type { AuditProof } from '../../packages/server/src/adapters/segment-file/index.ts';
import {
  nodeSha256,
  openAuditFolder,
  proveContinuation,
  proveRecord,
  readLogKey,
  verifyFolder,
} from '../../packages/server/src/adapters/segment-file/index.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Two readers that share no code but the page of the format: whatever is done to a log, both name the same record. */

const verifier = path.resolve(import.meta.dirname, '../../tools/audit_verify.py');
const page = path.resolve(import.meta.dirname, '../../docs/reference/audit-format.md');
const hasPython = spawnSync('python3', ['--version']).status === 0;

let work = '';
let whole = '';
let segments: readonly {
  readonly name: string;
  readonly header: string;
  readonly lines: readonly string[];
}[] = [];
const records = 40;

beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-tamper-'));
  whole = path.join(work, 'whole');
  let now = 1_767_225_600_000;
  const opened = await openAuditFolder({
    dir: whole,
    nowMs: () => (now += 1_000),
    bounds: { segmentBytesMax: 2_500, reserveBytes: 1 },
  });
  if (!opened.ok) throw new Error(opened.error.what);
  const { log, checkpoint } = opened.value;
  for (let n = 1; n <= records; n += 1) {
    log.append({ kind: 'request', v: 1, atMs: now, fields: { n, text: `record ${n % 7}` } });
    if (n % 5 === 0) await log.whenDurable(n);
    if (n === 17 || n === records)
      await checkpoint({ journal: undefined, witnesses: [path.join(work, 'witness')] });
  }
  await log.close();
  const { listSegments } = await import('../../packages/server/src/adapters/segment-file/index.ts');
  segments = await Promise.all(
    (await listSegments(whole)).map(async ({ file }) => {
      const [header = '', ...lines] = (await readFile(file, 'utf8')).split('\n');
      return { name: path.basename(file), header, lines: lines.slice(0, -1) };
    }),
  );
});

afterAll(async () => {
  await rm(work, { recursive: true, force: true });
});

interface PythonAnswer {
  readonly ok: boolean;
  readonly first_bad?: number;
  readonly what?: string;
  readonly records?: number;
  readonly root?: string;
}

/** One process for all folders: starting Python takes longer than verifying. */
function python(words: readonly string[]): readonly PythonAnswer[] {
  const run = spawnSync('python3', [verifier, ...words], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  return run.stdout
    .trimEnd()
    .split('\n')
    .map((line): PythonAnswer => JSON.parse(line));
}

async function ours(
  dir: string,
): Promise<{ readonly ok: boolean; readonly firstBad: number | undefined }> {
  const key = present(await readLogKey(dir), 'a key');
  const { flaw } = await verifyFolder(dir, { key });
  return { ok: flaw === undefined, firstBad: flaw?.index };
}

/** A folder with these lines in place of the records, by segment. */
async function withLines(
  name: string,
  edit: (lines: readonly string[]) => readonly string[],
): Promise<string> {
  const dir = path.join(work, name);
  await mkdir(dir);
  for (const file of ['key.pub', 'checkpoint', 'checkpoints'])
    await cp(path.join(whole, file), path.join(dir, file));
  const edited = edit(segments.flatMap(({ lines }) => lines));
  let at = 0;
  for (const [i, segment] of segments.entries()) {
    const end = i === segments.length - 1 ? edited.length : at + segment.lines.length;
    const text = [segment.header, ...edited.slice(at, end)].map((line) => `${line}\n`).join('');
    await writeFile(path.join(dir, segment.name), text);
    at = end;
  }
  return dir;
}

type Damage = {
  readonly what: 'flip' | 'drop' | 'swap' | 'truncate' | 'cut' | 'repeat';
  readonly index: number;
  readonly at: number;
  readonly bit: number;
};

const damage: fc.Arbitrary<Damage> = fc.record({
  what: fc.constantFrom('flip', 'drop', 'swap', 'truncate', 'cut', 'repeat'),
  index: fc.integer({ min: 1, max: records }),
  at: fc.nat(10_000),
  bit: fc.integer({ min: 0, max: 6 }),
});

function apply(lines: readonly string[], { what, index, at, bit }: Damage): readonly string[] {
  const i = index - 1;
  const line = present(lines[i], 'a line');
  switch (what) {
    case 'flip': {
      const place = at % line.length;
      const flipped = String.fromCharCode(line.charCodeAt(place) ^ (1 << bit));
      return lines.with(i, line.slice(0, place) + flipped + line.slice(place + 1));
    }
    case 'drop':
      return lines.toSpliced(i, 1);
    case 'swap': {
      const j = i === records - 1 ? i - 1 : i + 1;
      return lines.with(i, present(lines[j], 'a line')).with(j, line);
    }
    case 'truncate':
      return lines.slice(0, i);
    case 'cut':
      return lines.with(i, line.slice(0, at % line.length));
    case 'repeat':
      return lines.toSpliced(i, 0, line);
  }
}

type Witness = Parameters<typeof cosignNote>[2] & { readonly key: NoteKey };

function newWitness(name: string): Witness {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32));
  return {
    key: { name, algorithm: noteAlgorithms.cosignature, publicKey: raw },
    sha256: nodeSha256,
    sign: (message) => new Uint8Array(sign(null, message, privateKey)),
  };
}

describe.skipIf(!hasPython)('a log that somebody touched', () => {
  test('is whole to both readers before', async () => {
    expect(segments.length).toBeGreaterThan(2);
    expect(await ours(whole)).toEqual({ ok: true, firstBad: undefined });
    expect(python([whole])).toMatchObject([{ ok: true, records, covered: records }]);
  });

  test('whatever is flipped, dropped, swapped, cut or repeated, both name the first bad record', async () => {
    const cases = fc.sample(damage, 150);
    const dirs: string[] = [];
    const expected: number[] = [];
    for (const [n, each] of cases.entries()) {
      dirs.push(await withLines(`case-${n}`, (lines) => apply(lines, each)));
      const isLastSwap = each.what === 'swap' && each.index === records;
      expected.push(each.index + (each.what === 'repeat' ? 1 : isLastSwap ? -1 : 0));
    }
    const theirs = python(dirs);
    for (const [n, dir] of dirs.entries()) {
      const answer = { ...cases[n], ...(await ours(dir)), python: theirs[n]?.first_bad };
      expect(answer).toEqual({
        ...cases[n],
        ok: false,
        firstBad: expected[n],
        python: expected[n],
      });
    }
  }, 60_000);

  /** A log of one segment whose bodies are as given, each with the hash that fits. */
  async function withBodies(name: string, bodies: readonly (string | Buffer)[]): Promise<string> {
    const dir = path.join(work, name);
    await mkdir(dir);
    await cp(path.join(whole, 'key.pub'), path.join(dir, 'key.pub'));
    let before = Buffer.alloc(32);
    const origin = present(segments[0], 'a segment').header.split(' ')[1];
    const pieces = [Buffer.from(`postern-audit/1 ${origin} 1 ${before.toString('hex')}\n`)];
    for (const each of bodies) {
      const body = Buffer.from(each);
      before = createHash('sha256').update('\0').update(before).update(body).digest();
      pieces.push(Buffer.from(`${before.toString('hex')} `), body, Buffer.from('\n'));
    }
    await writeFile(path.join(dir, '00000000000000000001.log'), Buffer.concat(pieces));
    return dir;
  }

  const body = (index: number, data = '"n":1'): string =>
    `{"at":5,"data":{${data}},"i":${index},"kind":"request","v":1}`;
  const nested = (levels: number): string => `"n":${'['.repeat(levels)}${']'.repeat(levels)}`;
  const good = [body(1), body(2)];

  /** What writers of other programs, or of a defect, leave in a body whose hash fits. */
  const bodies: readonly (readonly [string, string | Buffer, boolean])[] = [
    ['as it is written', body(3), true],
    ['an index in another spelling', body(3).replace('"i":3', '"i":3.0'), false],
    ['the same with an exponent', body(3).replace('"i":3', '"i":3e0'), false],
    ['an index with a zero before it', body(3).replace('"i":3', '"i":03'), false],
    ['another index', body(4), false],
    ['no JSON in its fields', body(3, '"n":'), false],
    ['no JSON in its time', body(3).replace('5', '05'), false],
    ['a number that is none of JSON', body(3, '"n":NaN'), false],
    ['the same', body(3, '"n":-Infinity'), false],
    ['a number of five thousand digits', body(3, `"n":1${'0'.repeat(5_000)}`), true],
    ['a number beyond every double', body(3, '"n":1e999'), true],
    ['a null and a fraction', body(3, '"n":null,"m":1.5'), true],
    ['63 lists', body(3, nested(62)), true],
    ['64 lists', body(3, nested(63)), false],
    ['sixteen thousand lists', body(3, nested(16_000)), false],
    ['lists that are text', body(3, `"n":"${'['.repeat(500)}"`), true],
    ['white space in its envelope', body(3).replace(',"i"', ', "i"'), false],
    ['white space in its fields', body(3, ' "n" : 1 '), true],
    ['white space in a list', body(3, '"n":[ 1 ]'), true],
    ['white space after it', `${body(3)} `, false],
    ['a control character in a text', body(3, '"n":"\u0001"'), false],
    ['half a surrogate, escaped', body(3, '"n":"\\ud800"'), true],
    ['a byte that is no UTF-8', Buffer.from(body(3, '"n":"\u00ff"'), 'latin1'), false],
    ['UTF-16', Buffer.from(body(3), 'utf16le'), false],
    ['a byte order mark', `\ufeff${body(3)}`, false],
    ['a member that stands twice', body(3).replace(',"i"', ',"data":{},"i"'), true],
    ['the same, and says something else', body(3).replace(',"i"', ',"at":6,"data":{},"i"'), false],
    ['the same, and it says the same', body(3).replace(',"i"', ',"at":5,"data":{},"i"'), true],
    ['the same in another spelling', body(3).replace(',"i"', ',"at":5.0,"data":{},"i"'), true],
    ['the same as text', body(3).replace(',"i"', ',"at":"5","data":{},"i"'), false],
    ['a sixth member', body(3).replace(',"i"', ',"e":{},"i"'), false],
    ['fields that are a list', body(3).replace('{"n":1}', '[1]'), false],
    ['a time beyond integers', body(3).replace('"at":5', '"at":9007199254740993'), false],
    ['a time before 1970', body(3).replace('"at":5', '"at":-5'), true],
    ['minus zero', body(3).replace('"at":5', '"at":-0'), false],
    ['a kind of 65 characters', body(3).replace('request', 'r'.repeat(65)), false],
    ['nothing', '', false],
    ['a line that is too long', body(3, `"n":"${'x'.repeat(40_000)}"`), false],
    ['a line of five megabytes', body(3, `"n":"${'x'.repeat(5_000_000)}"`), false],
  ];

  test('whatever a body is, both judge it alike', async () => {
    const dirs: string[] = [];
    for (const [n, [, each]] of bodies.entries())
      dirs.push(await withBodies(`body-${n}`, [...good, each, body(4)]));
    const theirs = python(dirs);
    for (const [n, [what, , isRecord]] of bodies.entries()) {
      const mine = await ours(present(dirs[n], 'a folder'));
      const firstBad = isRecord ? undefined : 3;
      expect({ what, ours: mine.firstBad, python: theirs[n]?.first_bad }).toEqual({
        what,
        ours: firstBad,
        python: firstBad,
      });
    }
  });

  test('a body of any text at all is judged alike', async () => {
    const piece = fc.constantFrom(
      ...'{}[]",:0123456789.-+eE \\tnu'.split(''),
      '"at"',
      '"i"',
      '"data"',
      'null',
      'true',
      'NaN',
      '\u00e9',
      '\t',
    );
    const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    const strange = fc
      .tuple(text, fc.nat(60), fc.nat(6))
      .map(([inner, at, cut]) => body(1).slice(0, at) + inner + body(1).slice(at + cut));
    const inFields = text.map((inner) => body(1, inner));
    const cases = fc.sample(fc.oneof(strange, inFields), 300);
    const dirs: string[] = [];
    for (const [n, each] of cases.entries()) dirs.push(await withBodies(`any-${n}`, [each]));
    const theirs = python(dirs);
    for (const [n, dir] of dirs.entries()) {
      const { firstBad } = await ours(dir);
      expect([cases[n], theirs[n]?.first_bad]).toEqual([cases[n], firstBad]);
    }
  }, 60_000);

  test('a segment that was only begun is no record, anywhere else it is a flaw', async () => {
    const third = '00000000000000000003.log';
    const cases: readonly (readonly [string, string, number | undefined])[] = [
      [third, '', undefined],
      [third, 'postern-audit/1 pos', undefined],
      [third, 'x'.repeat(40_000), 3],
      ['00000000000000000009.log', '', 3],
      ['00000000000000000002.log', '', 3],
    ];
    const dirs: string[] = [];
    for (const [n, [file, text]] of cases.entries()) {
      const dir = await withBodies(`begun-${n}`, good);
      await writeFile(path.join(dir, file), text);
      dirs.push(dir);
    }
    // One that is not the last: what comes after it does not count.
    const between = await withBodies('begun-between', good);
    await writeFile(path.join(between, third), '');
    await writeFile(path.join(between, '00000000000000000004.log'), 'postern-audit/1');
    const theirs = python([...dirs, between]);
    for (const [n, [file, text, firstBad]] of cases.entries()) {
      const mine = await ours(present(dirs[n], 'a folder'));
      const answer = [file, text.length, mine.firstBad, theirs[n]?.first_bad];
      expect(answer).toEqual([file, text.length, firstBad, firstBad]);
    }
    expect([(await ours(between)).firstBad, theirs.at(-1)?.first_bad]).toEqual([3, 3]);
  });

  test('a long end without a line feed is no record that was being written', async () => {
    const dirs: string[] = [];
    for (const [n, length] of [32_767, 32_768, 300_000].entries()) {
      const dir = await withBodies(`end-${n}`, good);
      await appendFile(path.join(dir, '00000000000000000001.log'), 'x'.repeat(length));
      dirs.push(dir);
    }
    const theirs = python(dirs).map(({ first_bad }) => first_bad);
    const mine: (number | undefined)[] = [];
    for (const dir of dirs) mine.push((await ours(dir)).firstBad);
    expect([mine, theirs]).toEqual([
      [undefined, 3, 3],
      [undefined, 3, 3],
    ]);
  });

  test('a chain that was computed anew does not fit what was signed', async () => {
    const other = path.join(work, 'other');
    await mkdir(other);
    for (const file of ['key.pub', 'key.pem'])
      await cp(path.join(whole, file), path.join(other, file));
    const opened = await openAuditFolder({
      dir: other,
      nowMs: () => 5,
      bounds: { reserveBytes: 1 },
    });
    if (!opened.ok) throw new Error(opened.error.what);
    for (const line of segments.flatMap(({ lines }) => lines)) {
      const { at, data, kind, v } = JSON.parse(line.slice(65));
      const fields = data.n === 30 ? { ...data, text: 'something else' } : data;
      opened.value.log.append({ kind, v, atMs: at, fields });
    }
    await opened.value.log.close();
    for (const file of ['checkpoint', 'checkpoints'])
      await cp(path.join(whole, file), path.join(other, file));
    // The checkpoint over 17 still fits; the one over 40 does not.
    expect(await ours(other)).toEqual({ ok: false, firstBad: 18 });
    expect(python([other])).toMatchObject([{ ok: false, first_bad: 18, covered: 17 }]);
  });

  test('a tail that was cut off whole, checkpoints and all, is missed by the witness file alone', async () => {
    const dir = await withLines('cut-whole', (lines) => lines.slice(0, 20));
    await writeFile(path.join(dir, 'checkpoint'), '');
    const notes = await readFile(path.join(dir, 'checkpoints'), 'utf8');
    await writeFile(
      path.join(dir, 'checkpoints'),
      `${notes.split('\n\n').slice(0, 2).join('\n\n')}\n\n`,
    );
    const isEmptyLeft = segments.some(({ lines }) => lines.length === 0);
    expect(isEmptyLeft).toBe(false);
    const witness = path.join(work, 'witness');
    const key = present(await readLogKey(dir), 'a key');
    const { flaw } = await verifyFolder(dir, { key, against: [witness] });
    const [theirs] = python(['--against', witness, dir]);
    expect([flaw?.index, theirs?.first_bad]).toEqual([21, 21]);
  });

  test('witnesses whose cosignatures are required must have signed, each of them', async () => {
    const key = present(await readLogKey(whole), 'a key');
    const text = present(
      readNote(await readFile(path.join(whole, 'checkpoint'), 'utf8')),
      'a checkpoint',
    );
    const [one, two] = [newWitness('witness.example/one'), newWitness('witness.example/two')];
    const cosigned = path.join(work, 'cosigned');
    const signature = cosignNote(text.text, { key: one.key, atMs: 1_000 }, one);
    const note = { ...text, signatures: [...text.signatures, signature] };
    await writeFile(cosigned, `${noteText(note)}\n`);
    const seen = async (witnesses: readonly NoteKey[]) => {
      const { flaw, witnessed } = await verifyFolder(whole, {
        key,
        against: [cosigned],
        witnesses,
      });
      return [flaw, witnessed];
    };
    expect(await seen([])).toEqual([undefined, undefined]);
    expect(await seen([one.key])).toEqual([undefined, records]);
    expect(await seen([two.key])).toEqual([undefined, 0]);
    expect(await seen([one.key, two.key])).toEqual([undefined, 0]);
    const [theirs] = python(['--against', cosigned, whole]);
    expect(theirs?.ok).toBe(true);
  });

  test('proofs made here hold there', async () => {
    const key = present(await readLogKey(whole), 'a key');
    const older = path.join(work, 'older');
    const notes = (await readFile(path.join(whole, 'checkpoints'), 'utf8')).split('\n\n');
    await writeFile(older, `${notes.slice(0, 2).join('\n\n')}\n`);
    const proofs: AuditProof[] = [];
    for (const index of [1, 2, 17, 18, 32, 33, records]) {
      const proof = await proveRecord(whole, key, index);
      if (proof.ok) proofs.push(proof.value);
    }
    const continued = await proveContinuation(whole, key, older);
    if (continued.ok) proofs.push(continued.value);
    expect(proofs.length).toBe(8);
    const files: string[] = [];
    for (const [n, proof] of proofs.entries()) {
      const wrong = { ...proof, proof: proof.proof.with(0, '00'.repeat(32)) };
      for (const [word, each] of [
        ['good', proof],
        ['wrong', wrong],
      ] as const) {
        files.push(path.join(work, `proof-${n}-${word}.json`));
        await writeFile(present(files.at(-1), 'a name'), JSON.stringify(each));
      }
    }
    const answers = python(['--key', path.join(whole, 'key.pub'), '--proof', ...files]);
    expect(answers.map(({ ok }) => ok)).toEqual(proofs.flatMap(() => [true, false]));
    expect((await proveRecord(whole, key, records + 1)).ok).toBe(false);
  });
});

describe('the page of the format', () => {
  test.skipIf(!hasPython)('its example is what both readers compute', async () => {
    const [, example = ''] = (await readFile(page, 'utf8')).split('## Example');
    const blocks = [...example.matchAll(/```\n([\s\S]*?)```/g)].map(([, text = '']) => text);
    const dir = path.join(work, 'example');
    await mkdir(dir);
    const names = ['key.pub', '00000000000000000001.log', 'checkpoint'];
    for (const [i, name] of names.entries())
      await writeFile(path.join(dir, name), present(blocks[i], name));
    expect(readNoteKey(present(blocks[0], 'a key').trim(), nodeSha256)?.name).toBe(
      'postern.dev/audit/21fe31dfa154a261',
    );
    expect(await ours(dir)).toEqual({ ok: true, firstBad: undefined });
    const root = 'dfd23ba6978555ff98ae5d50d5fd2169ec0974b6431e594b65ae94f52a5add3a';
    expect(python([dir])).toMatchObject([{ ok: true, records: 3, covered: 3, root }]);
  });
});

describe('a witness', () => {
  /** What both readers say of the log's first records and a witness file. */
  async function against(dir: string, file: string) {
    const key = present(await readLogKey(dir), 'a key');
    const verdict = await verifyFolder(dir, { key, against: [file] });
    const python = hasPython
      ? spawnSync('python3', [verifier, '--against', file, dir], { encoding: 'utf8' })
      : undefined;
    return {
      ours: verdict.flaw === undefined && verdict.unwitnessing.length === 0,
      theirs: python === undefined ? undefined : python.status === 0,
    };
  }

  test('whose append was cut short once still knows of the records after it', async () => {
    const dir = await withLines('cut-after-torn', (lines) => lines.slice(0, 10));
    for (const name of ['checkpoint', 'checkpoints']) await writeFile(path.join(dir, name), '');
    const witness = await readFile(path.join(work, 'witness'), 'utf8');
    for (const length of [1, 40, 120, 171]) {
      const file = path.join(work, `torn-witness-${length}`);
      // oxlint-disable-next-line no-await-in-loop -- one file after the other
      await writeFile(file, `${witness.slice(0, length)}\n\n${witness}`);
      // oxlint-disable-next-line no-await-in-loop -- as above
      const { ours: isOk, theirs } = await against(dir, file);
      expect([length, isOk, theirs ?? false]).toEqual([length, false, false]);
    }
  });

  test('that is missing, or saw another log, proves nothing', async () => {
    const strange = path.join(work, 'strange-witness');
    await writeFile(strange, 'postern.dev/audit/other\n5\nAAAA\n\n— other AAAA\n\n');
    for (const file of [path.join(work, 'not-there'), strange]) {
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const { ours: isOk, theirs } = await against(whole, file);
      expect([file, isOk, theirs ?? false]).toEqual([file, false, false]);
    }
    const { ours: isOk, theirs } = await against(whole, path.join(work, 'witness'));
    expect([isOk, theirs ?? true]).toEqual([true, true]);
  });

  test('that cannot be written keeps no other from its checkpoints, and gets them once it can', async () => {
    const dir = path.join(work, 'two-witnesses');
    const opened = await openAuditFolder({ dir, nowMs: () => 1_767_225_600_000 });
    if (!opened.ok) throw new Error(opened.error.what);
    const { log, checkpoint } = opened.value;
    const broken = path.join(work, 'absent', 'witness');
    const good = path.join(work, 'good-witness');
    log.append({ kind: 'request', v: 1, atMs: 1, fields: {} });
    const witnesses = [broken, good];
    await expect(checkpoint({ journal: undefined, witnesses })).rejects.toThrow('ENOENT');
    expect(await readFile(good, 'utf8')).toContain('\n1\n');
    await mkdir(path.dirname(broken));
    await checkpoint({ journal: undefined, witnesses });
    expect(await readFile(broken, 'utf8')).toContain('\n1\n');
    expect(await checkpoint({ journal: undefined, witnesses })).toBeUndefined();
    await log.close();
  });
});

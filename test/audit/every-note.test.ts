import { spawnSync } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { present } from '@postern/core/base';
import { checkpointText, TreeEdge } from '@postern/core/state/audit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AuditFolder } from '../../packages/server/src/adapters/segment-file/index.ts';
import {
  nodeSha256,
  openAuditFolder,
  readLogKey,
  verifyFolder,
} from '../../packages/server/src/adapters/segment-file/index.ts';

/** A witness that saw a checkpoint after each record, more than any reader checks the signatures of. */

const verifier = path.resolve(import.meta.dirname, '../../tools/audit_verify.py');
const hasPython = spawnSync('python3', ['--version']).status === 0;
const records = 600;

let work = '';
let whole = '';
let witness = '';
let notes: readonly string[] = [];

beforeAll(async () => {
  work = await mkdtemp(path.join(tmpdir(), 'postern-notes-'));
  whole = path.join(work, 'whole');
  notes = await writeLog(whole, records, (n) => `record ${n}`);
  witness = path.join(work, 'witness');
  await writeFile(witness, notes.join(''));
});

afterAll(() => rm(work, { recursive: true, force: true }));

/** Writes a log of so many records; a checkpoint over each number of them, as a witness keeps them. */
async function writeLog(
  dir: string,
  count: number,
  textOf: (n: number) => string,
): Promise<readonly string[]> {
  const opened = await openAuditFolder({ dir, nowMs: () => 1, bounds: { reserveBytes: 1 } });
  if (!opened.ok) throw new Error(opened.error.what);
  const { log, key, sign } = opened.value;
  for (let n = 1; n <= count; n += 1)
    log.append({ kind: 'request', v: 1, atMs: n, fields: { text: textOf(n) } });
  await log.close();
  return signedEach(dir, key.name, sign);
}

async function signedEach(
  dir: string,
  origin: string,
  sign: AuditFolder['sign'],
): Promise<readonly string[]> {
  const tree = new TreeEdge(nodeSha256);
  const signed: string[] = [];
  await verifyFolder(dir, {
    key: present(await readLogKey(dir), 'a key'),
    onRecord: ({ index, atMs }, hash) => {
      tree.append(hash);
      const root = tree.root();
      const chain = hash.slice();
      const text = checkpointText({ origin, size: index, root, atMs, chain, journal: undefined });
      signed.push(`${sign(text)}\n`);
    },
  });
  return signed;
}

interface Answer {
  readonly ok: boolean;
  readonly firstBad: number | undefined;
  readonly covered: number;
}

/** What both readers say. */
async function both(dir: string, against: string): Promise<readonly Answer[]> {
  const key = present(await readLogKey(dir), 'a key');
  const { flaw, unwitnessing, agreed } = await verifyFolder(dir, { key, against: [against] });
  const ok = flaw === undefined && unwitnessing.length === 0;
  const mine = { ok, firstBad: flaw?.index, covered: agreed?.size ?? 0 };
  if (!hasPython) return [mine, mine];
  const run = spawnSync('python3', [verifier, '--against', against, dir], { encoding: 'utf8' });
  expect(run.stderr).toBe('');
  const { ok: isOk, first_bad: firstBad, covered } = JSON.parse(run.stdout);
  return [mine, { ok: isOk, firstBad, covered }];
}

async function witnessed(name: string, text: string): Promise<string> {
  const file = path.join(work, name);
  await writeFile(file, text);
  return file;
}

const twice = (answer: Answer): readonly Answer[] => [answer, answer];
const good = (covered: number): readonly Answer[] =>
  twice({ ok: true, firstBad: undefined, covered });
const bad = (firstBad: number, covered: number): readonly Answer[] =>
  twice({ ok: false, firstBad, covered });

/** The first records of the log, without checkpoints of its own. */
async function cutTo(name: string, count: number): Promise<string> {
  const dir = path.join(work, name);
  await mkdir(dir);
  await cp(path.join(whole, 'key.pub'), path.join(dir, 'key.pub'));
  const segment = '00000000000000000001.log';
  const lines = (await readFile(path.join(whole, segment), 'utf8')).split('\n');
  await writeFile(path.join(dir, segment), `${lines.slice(0, count + 1).join('\n')}\n`);
  return dir;
}

test('a log that fits every note is whole', async () => {
  expect(await both(whole, witness)).toEqual(good(records));
});

test('a rewritten record is named by the one old note that knows it, however many new ones were signed', async () => {
  const dir = path.join(work, 'rewritten');
  await mkdir(dir);
  for (const file of ['key.pub', 'key.pem']) await cp(path.join(whole, file), path.join(dir, file));
  const anew = await writeLog(dir, records + 3, (n) => (n === records ? 'nothing' : `record ${n}`));
  const file = await witnessed('both', [...notes, ...anew.slice(records - 1)].join(''));
  expect(await both(dir, file)).toEqual(bad(records, records - 1));
  // In another order: what is newest in the file says nothing.
  const turned = [...notes, ...anew.slice(records - 1)].toReversed().join('');
  expect(await both(dir, await witnessed('turned', turned))).toEqual(bad(records, records - 1));
});

test('a record that was cut off is missed however much was appended to the witness since', async () => {
  const dir = await cutTo('cut', records - 1);
  const [newest = ''] = notes.slice(-1);
  const torn = Array.from({ length: 4 }, (_, n) => `${newest.slice(0, 60 + n)}\n\n`).join('');
  const file = await witnessed('torn', `${notes.join('')}${torn}`);
  expect(await both(dir, file)).toEqual(bad(records, records - 1));
});

test('notes that nobody signed accuse nobody and vouch for nothing', async () => {
  const dir = await cutTo('short', 3);
  const other = path.join(work, 'other');
  const strange = await writeLog(other, 20, (n) => `other ${n}`);
  const origin = present(await readLogKey(whole), 'a key').name;
  const theirs = present(await readLogKey(other), 'a key').name;
  const forged = strange.map((note) => note.replaceAll(theirs, origin)).join('');
  const changed = notes.slice(0, 3).map((note) => note.replace('\nat ', '\nat 1'));
  const file = await witnessed('forged', `${forged}${notes[1] ?? ''}${changed.join('')}`);
  expect(await both(dir, file)).toEqual(good(2));
  expect(await both(dir, await witnessed('forged alone', forged))).toEqual(
    twice({ ok: false, firstBad: undefined, covered: 0 }),
  );
});

test('two notes of one size that disagree: the change is after the one before them', async () => {
  const dir = path.join(work, 'forked');
  await mkdir(dir);
  for (const file of ['key.pub', 'key.pem']) await cp(path.join(whole, file), path.join(dir, file));
  const fork = await writeLog(dir, 5, (n) => `fork ${n}`);
  const ours = await cutTo('five', 5);
  for (const [name, pair] of [
    ['first', [notes[4], fork[4]]],
    ['last', [fork[4], notes[4]]],
  ] as const) {
    const file = await witnessed(`pair ${name}`, `${notes[1] ?? ''}${pair.join('')}`);
    expect(await both(ours, file)).toEqual(bad(3, 2));
  }
});

test('a part without an end is no note and hides none', async () => {
  const dir = await cutTo('long part', 10);
  const junk = 'x'.repeat(700_000);
  const file = await witnessed(
    'junk',
    `${junk}\n\n\n${notes[4] ?? ''}${junk}\n\n\n\n${notes[9] ?? ''}`,
  );
  expect(await both(dir, file)).toEqual(good(10));
  await appendFile(file, notes[10] ?? '');
  expect(await both(dir, file)).toEqual(bad(11, 10));
});

test('a signed root that is another in its last byte alone is another', async () => {
  const dir = path.join(work, 'last byte');
  const opened = await openAuditFolder({ dir, nowMs: () => 1, bounds: { reserveBytes: 1 } });
  if (!opened.ok) throw new Error(opened.error.what);
  const { log, key, sign } = opened.value;
  log.append({ kind: 'request', v: 1, atMs: 1, fields: {} });
  await log.close();
  const [note = ''] = await signedEach(dir, key.name, sign);
  const [, , root = ''] = note.split('\n');
  const bytes = Buffer.from(root, 'base64');
  bytes[31] = (bytes[31] ?? 0) ^ 1;
  const text = `${note.slice(0, note.indexOf('\n\n'))}\n`.replace(root, bytes.toString('base64'));
  expect(await both(dir, await witnessed('other root', `${sign(text)}\n`))).toEqual(bad(1, 0));
});

test('a first line that is no text is the flaw of its record', async () => {
  const dir = await cutTo('no text', 5);
  const segment = path.join(dir, '00000000000000000001.log');
  const bytes = await readFile(segment);
  bytes[20] = 0xf9;
  await writeFile(segment, bytes);
  expect(await both(dir, witness)).toEqual(bad(1, 0));
});

import {
  chown,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Conversation } from './index.ts';
import { ContentStore, contentKeyId, contentLimits } from './index.ts';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'postern-content-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const day = 86_400_000;
const start = Date.parse('2026-03-01T10:00:00Z');

function conversation(caller: string, atMs: number): Conversation {
  return {
    atMs,
    requestId: `r-${atMs}`,
    caller,
    request: '{"prompt":"secret question"}',
    answer: 'secret answer',
  };
}

async function keep(store: ContentStore, ...all: readonly Conversation[]): Promise<void> {
  for (const each of all) {
    expect(store.keep(each, (fault) => expect.unreachable(String(fault)))).toBe(true);
  }
  await store.settled();
}

async function all(store: ContentStore): Promise<Conversation[]> {
  const found: Conversation[] = [];
  for await (const each of store.read()) found.push(each);
  return found;
}

test('what is kept is read again, and is nowhere in the files', async () => {
  const store = new ContentStore(dir);
  const kept = [conversation('key:a', start), conversation('key:b', start + 5)];
  await keep(store, ...kept);
  expect(await all(new ContentStore(dir))).toEqual(kept);
  const names = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((each) =>
    each.isFile(),
  );
  expect(names.length).toBe(3);
  for (const each of names) {
    const file = path.join(each.parentPath, each.name);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'latin1')).not.toMatch(/secret|key:a/);
  }
});

test('erasing a principal leaves those of others, and what comes after is kept again', async () => {
  const store = new ContentStore(dir);
  const [a, b] = [conversation('key:a', start), conversation('key:b', start + 5)];
  await keep(store, a, b, conversation('key:a', start + day));
  expect(await store.erase('key:a')).toBe(2);
  expect(await all(store)).toEqual([b]);
  const later = conversation('key:a', start + 9);
  await keep(store, later);
  expect(await all(store)).toEqual([b, later]);
});

test('an erasure is told until it is on the record, and none is lost over another', async () => {
  const store = new ContentStore(dir);
  await keep(store, conversation('key:a', start), conversation('key:b', start));
  await store.erase('key:a');
  const first = { principal: 'key:a', keys: 1 };
  expect(await store.takeErasures()).toEqual([first]);
  // A crash before it was recorded, and another erasure in the meantime.
  await store.erase('key:b');
  const next = new ContentStore(dir);
  expect(await next.takeErasures()).toEqual([first]);
  await next.erasuresRecorded();
  expect(await next.takeErasures()).toEqual([{ principal: 'key:b', keys: 1 }]);
  await next.erasuresRecorded();
  expect(await next.takeErasures()).toEqual([]);
});

test('an erasure whose note comes while others are put on the record is told after them', async () => {
  const store = new ContentStore(dir);
  await keep(store, conversation('key:a', start));
  await store.erase('key:a');
  // A command that opened the file for its note just before it was taken.
  const late = await open(path.join(dir, 'erasures'), 'a');
  const first = { principal: 'key:a', keys: 1 };
  expect(await store.takeErasures()).toEqual([first]);
  const second = { principal: 'key:b', keys: 1 };
  await late.appendFile(`${JSON.stringify(second)}\n`);
  await late.close();
  await store.erasuresRecorded();
  expect(await store.takeErasures()).toContainEqual(second);
  await store.erasuresRecorded();
  expect(await store.takeErasures()).toEqual([]);
});

test.skipIf(process.getuid?.() !== 0)(
  'what root erases is told in a file of whoever owns the folder',
  async () => {
    const store = new ContentStore(dir);
    await keep(store, conversation('key:a', start));
    await chown(dir, 65_534, 65_534);
    await store.erase('key:a');
    const { uid, gid } = await stat(path.join(dir, 'erasures'));
    expect([uid, gid]).toEqual([65_534, 65_534]);
  },
);

test('the sweep removes whole days that are older than the retention', async () => {
  const store = new ContentStore(dir);
  const kept = [0, 1, 2, 3].map((n) => conversation('key:a', start + n * day));
  await keep(store, ...kept);
  expect(await store.sweep(start + 3 * day, 1)).toBe(2);
  expect(await all(store)).toEqual(kept.slice(2));
  expect(await readdir(path.join(dir, 'keys'))).toHaveLength(2);
});

const dayFile = (): string => path.join(dir, '2026-03-01.jsonl');

test('a line that a crash cut off spoils no other conversation', async () => {
  const store = new ContentStore(dir);
  const [first, second, third] = [0, 1, 2].map((n) => conversation('key:a', start + n));
  if (first === undefined || second === undefined || third === undefined) throw new Error('three');
  await keep(store, first, second);
  await truncate(dayFile(), (await stat(dayFile())).size - 30);
  await keep(new ContentStore(dir), third);
  expect(await all(store)).toEqual([first, third]);
});

test('days that the sweep removes while somebody reads are not there', async () => {
  const store = new ContentStore(dir);
  const kept = [0, 1, 9].map((n) => conversation('key:a', start + n * day));
  await keep(store, ...kept);
  const found: Conversation[] = [];
  for await (const each of store.read()) {
    if (found.length === 0) await store.sweep(start + 10 * day, 5);
    found.push(each);
  }
  expect(found).toEqual([kept[0], kept[2]]);
});

test('an erasure and the sweep at once do not stop each other', async () => {
  const store = new ContentStore(dir);
  const kept = Array.from({ length: 20 }, (_, n) => conversation('key:a', start + n * day));
  await keep(store, ...kept, conversation('key:b', start));
  const [erased, , swept] = await Promise.all([
    store.erase('key:a'),
    store.erase('key:a'),
    store.sweep(start + 20 * day, 5),
  ]);
  expect(erased).toBeLessThanOrEqual(20);
  expect(swept).toBe(15);
  expect(await readdir(path.join(dir, 'keys'))).toEqual([]);
});

test('what was erased before a key that cannot be is told', async () => {
  const store = new ContentStore(dir);
  await keep(store, conversation('key:a', start), conversation('key:a', start + day));
  const last = path.join(dir, 'keys', `${contentKeyId('key:a', start + day)}.key`);
  await rm(last);
  await mkdir(last);
  await expect(store.erase('key:a')).rejects.toThrow('EISDIR');
  expect(await store.takeErasures()).toEqual([{ principal: 'key:a', keys: 1 }]);
});

test('a day that is longer than any text is read', async () => {
  const store = new ContentStore(dir);
  const [first, last] = [conversation('key:a', start), conversation('key:a', start + 1)];
  await keep(store, first);
  // A hole of 600 MB takes no space; it stands for as many conversations of others.
  await truncate(dayFile(), 600_000_000);
  const handle = await open(dayFile(), 'r+');
  for (let at = 1_000_000; at < 600_000_000; at += 20_000_000) await handle.write('\n', at);
  await handle.write('\n', 599_999_999);
  await handle.close();
  await keep(store, last);
  expect(await all(store)).toEqual([first, last]);
}, 60_000);

test('a day has its own key', () => {
  expect(contentKeyId('key:a', start)).not.toBe(contentKeyId('key:a', start + day));
  expect(contentKeyId('key:a', start)).toMatch(/^2026-03-01\.[0-9a-f]{32}$/);
});

test('what does not fit in memory is dropped, not waited for', async () => {
  const store = new ContentStore(dir);
  const long = { ...conversation('key:a', start), answer: 'x'.repeat(contentLimits.queueBytesMax) };
  expect(store.keep(long, () => undefined)).toBe(false);
  await store.settled();
});

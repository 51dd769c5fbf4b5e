import { chown, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
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

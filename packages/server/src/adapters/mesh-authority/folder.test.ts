import { chmod, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Secret } from '@postern/core/base';
import { afterEach, expect, test } from 'vitest';
import { generationFolder, openMemberFolder } from './index.ts';

const dirs: string[] = [];
async function folder(): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-authority-'));
  dirs.push(dir);
  return dir;
}
afterEach(async () => {
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true });
});

const generation = {
  publishedAt: 1,
  signsFrom: 2,
  notAfter: 3,
  certificate: new Uint8Array([48, 0]),
  privateKey: new Secret('AAAA'),
};
const member = {
  instance: 'ab'.repeat(20),
  app: 'cd'.repeat(20),
  renewalKey: new Uint8Array(32).fill(7),
  joinedAtMs: 1_000,
  token: 'key_1',
};

test('a generation is read back by another process, and of two at once one is the first', async () => {
  const dir = await folder();
  const [one, two] = [generationFolder(dir), generationFolder(dir)];
  expect(await one.load()).toEqual([]);
  const won = await Promise.all([one.append(generation, 0), two.append(generation, 0)]);
  expect([...won].filter(Boolean).length).toBe(1);
  const [read] = await two.load();
  expect({ ...read, privateKey: read?.privateKey.reveal() }).toEqual({
    ...generation,
    privateKey: 'AAAA',
  });
  expect((await stat(path.join(dir, '000001.json'))).mode & 0o777).toBe(0o600);
  expect(await readdir(dir)).toEqual(['000001.json']);
});

test('keys that others may read, and damaged ones, stop the authority', async () => {
  const dir = await folder();
  const store = generationFolder(dir);
  await store.append(generation, 0);
  await chmod(path.join(dir, '000001.json'), 0o640);
  await expect(store.load()).rejects.toThrow('others may read it');
  await chmod(path.join(dir, '000001.json'), 0o600);
  await writeFile(path.join(dir, '000001.json'), '{"published_at":1}');
  await expect(store.load()).rejects.toThrow('damaged');
});

test('a token is used up by one instance, whoever asks again', async () => {
  const store = await openMemberFolder(await folder());
  const used = await Promise.all([
    store.spend('key_1', 'aa'.repeat(20)),
    store.spend('key_1', 'bb'.repeat(20)),
  ]);
  expect(used[0]).toBe(used[1]);
  expect(await store.spend('key_2', 'cc'.repeat(20))).toBe('cc'.repeat(20));
  await expect(store.spend('../x', 'cc')).rejects.toThrow();
});

test('the first member of an instance stays', async () => {
  const store = await openMemberFolder(await folder());
  expect(await store.add(member)).toEqual(member);
  const other = { ...member, renewalKey: new Uint8Array(32).fill(8) };
  expect(await store.add(other)).toEqual(member);
  expect(await store.find(member.instance)).toEqual(member);
  expect(await store.find('00'.repeat(20))).toBeUndefined();
  expect(await store.find('../../etc/passwd')).toBeUndefined();
});

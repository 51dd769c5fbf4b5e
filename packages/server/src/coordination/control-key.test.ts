import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ok, Secret } from '@postern/core/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadControlKey, machineKeyText } from './control-key.ts';
import { ReportFile } from './netmap/reports.ts';
import type { NetworkShare } from './ports.ts';

let base: string;
beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'control-key-'));
});
afterEach(() => rm(base, { recursive: true }));

const given = '0b'.repeat(32);

/** What servers of one network know of each other's key. */
function shareOf(): NetworkShare {
  let held: string | undefined;
  return {
    claimKey: (key) => {
      held ??= key;
      return Promise.resolve(ok(held));
    },
    reports: new ReportFile(base),
  };
}

async function publicKey(source: Parameters<typeof loadControlKey>[0]): Promise<string> {
  const loaded = await loadControlKey(source);
  return loaded.ok ? machineKeyText(loaded.value.publicKey) : loaded.error;
}

test('a key is made once, for its owner alone, and stays', async () => {
  const folder = path.join(base, 'one');
  const first = await publicKey({ folder });
  expect(first).toMatch(/^mkey:[0-9a-f]{64}$/);
  expect((await stat(path.join(folder, 'control.key'))).mode & 0o777).toBe(0o600);
  expect(await publicKey({ folder })).toBe(first);
});

test('a key that the operator gave is kept in the folder, and never replaces another', async () => {
  const folder = path.join(base, 'one');
  const known = 'mkey:7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13';
  const secret = new Secret(`${'11'.repeat(32)}\n`);
  expect(await publicKey({ folder, given: secret })).toBe(known);
  const file = path.join(folder, 'control.key');
  expect(await readFile(file, 'utf8')).toBe(`privkey:${'11'.repeat(32)}\n`);
  expect(await publicKey({ folder })).toBe(known);
  expect(await publicKey({ folder, given: new Secret(`privkey:${given}`) })).toContain(
    'another key than engine.controlKey',
  );
  for (const wrong of ['', 'abc', '0b'.repeat(31), 'zz'.repeat(32)]) {
    expect(await publicKey({ folder: base, given: new Secret(wrong) })).toContain(
      '32 bytes in hex',
    );
  }
});

test('a damaged file stops the start', async () => {
  await writeFile(path.join(base, 'control.key'), 'privkey:00');
  expect(await publicKey({ folder: base })).toContain('holds no control key');
});

test('a second server of a network starts with the same key, and with no other', async () => {
  const share = shareOf();
  const first = await publicKey({ folder: path.join(base, 'one'), share });
  expect(await publicKey({ folder: path.join(base, 'two'), share })).toContain(
    `known by ${first}, and this gateway does not have that key`,
  );
  const other = { folder: path.join(base, 'three'), share, given: new Secret(given) };
  expect(await publicKey(other)).toContain('Give every gateway the same engine.controlKey');
  const text = await readFile(path.join(base, 'one', 'control.key'), 'utf8');
  const same = { folder: path.join(base, 'four'), share, given: new Secret(text) };
  expect(await publicKey(same)).toBe(first);
});

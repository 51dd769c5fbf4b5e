/** The outside suites about certificates and primitives, on the files that are at hand. */
import { readdirSync } from 'node:fs';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { suite as limbo } from '../harness/limbo.ts';
import type { Suite } from '../harness/suite.ts';
import { suite as wycheproof } from '../harness/wycheproof.ts';

const vectors = process.env['POSTERN_VECTORS'];

async function failures(suite: Suite, files: readonly string[]): Promise<readonly string[]> {
  const failed: string[] = [];
  let passed = 0;
  for await (const verdict of suite(files)) {
    if (verdict.skip !== true && !verdict.pass) failed.push(`${verdict.id}: ${verdict.why}`);
    if (verdict.pass) passed += 1;
  }
  expect(passed).toBeGreaterThan(100);
  return failed;
}

describe.skipIf(vectors === undefined)('outside suites', () => {
  test('every x509-limbo case ends as expected', async () => {
    expect(await failures(limbo, [`${vectors}/x509-limbo/limbo.json`])).toEqual([]);
  });

  test('every Wycheproof case ends as expected', async () => {
    const folder = `${vectors}/wycheproof`;
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    expect(
      await failures(
        wycheproof,
        files.map((name) => `${folder}/${name}`),
      ),
    ).toEqual([]);
  });
});

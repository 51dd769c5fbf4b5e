/** The outside framing suite, where its vectors are at hand. Slow: some cases wait five seconds for silence. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { suite } from '../harness/http-framing.ts';

const folder = process.env['POSTERN_VECTORS'];
const file = folder === undefined ? '' : join(folder, 'http-framing', 'cases.json');

test.skipIf(!existsSync(file))(
  'every case of the outside suite passes on every listener',
  async () => {
    const failed: string[] = [];
    let count = 0;
    for await (const verdict of suite([file])) {
      count += 1;
      if (!verdict.pass) failed.push(`${verdict.id}: ${verdict.why}`);
    }
    expect(failed).toEqual([]);
    expect(count).toBeGreaterThan(100);
  },
  60_000,
);

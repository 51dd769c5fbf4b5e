/**
 * A million damaged inputs over every reader. POSTERN_FUZZ sets how many each reader gets (1000000 for a million
 * each), POSTERN_FUZZ_SEED repeats a campaign.
 */
import process from 'node:process';
import { expect, test } from 'vitest';
import { mutate, randomOf } from './mutate.ts';
import { readers } from './readers.ts';

const seed = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_261_122);
const roundsDefault = 60_000;
const roundsEach = Number(process.env['POSTERN_FUZZ'] ?? roundsDefault);
/** What garbage may be waiting at the end of a campaign; an allocation by a declared length is gigabytes. */
const grownBytesMax = 256 << 20;

test('the readers together get a million inputs where nobody asks for another number', () => {
  expect(roundsDefault * readers.length).toBeGreaterThanOrEqual(1_000_000);
});

test.each(readers)(
  '$name: damaged input is read or refused, never thrown at',
  ({ seeds, read }) => {
    const random = randomOf(seed);
    const before = memory();
    let accepted = 0;
    for (let round = 0; round < roundsEach; round += 1) {
      const changed = mutate(seeds[round % seeds.length] ?? new Uint8Array(), random);
      let isRead: boolean;
      try {
        isRead = read(changed);
      } catch (cause) {
        const input = Buffer.from(changed).toString('hex');
        throw new Error(`seed ${seed}, round ${round}: ${input}`, { cause });
      }
      if (isRead) accepted += 1;
    }
    expect(accepted).toBeLessThan(roundsEach);
    expect(memory() - before).toBeLessThan(grownBytesMax);
  },
);

function memory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

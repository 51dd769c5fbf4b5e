/** The mutation campaign: POSTERN_FUZZ_SEED repeats one, POSTERN_FUZZ_MS changes its length. */
import process from 'node:process';
import { expect, test } from 'vitest';
import { mutate, randomOf } from './mutate.ts';
import { isAccepted, proven, targets } from './targets.ts';

const seed = Number(process.env['POSTERN_FUZZ_SEED'] ?? 20_260_301);
const campaignMs = Number(process.env['POSTERN_FUZZ_MS'] ?? 15_000);

test.each(targets)('$name: no change is believed in a long run of changes', ({ input, verify }) => {
  const before = proven(verify(input));
  const random = randomOf(seed);
  const end = Date.now() + campaignMs / targets.length;
  let rounds = 0;
  while (Date.now() < end) {
    const changed = mutate(input, random);
    const outcome = verify(changed);
    const isSame = !isAccepted(outcome) || proven(outcome) === before;
    expect(isSame, `seed ${seed}, round ${rounds}: ${Buffer.from(changed).toString('hex')}`).toBe(
      true,
    );
    rounds += 1;
  }
  expect(rounds).toBeGreaterThan(10);
});

test('every single byte of a quote matters, up to its padding', () => {
  const [target] = targets;
  const { input, verify } = target!;
  const before = proven(verify(input));
  for (let at = 0; at < input.length; at += 1) {
    const changed = input.slice();
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    const outcome = verify(changed);
    if (isAccepted(outcome)) expect(proven(outcome), `byte ${at}`).toBe(before);
  }
});

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mutate, randomOf } from './mutate.ts';
import { isAccepted, proven, targets } from './targets.ts';

describe.each(targets)('$name', ({ name, input, verify }) => {
  test('any bytes give an answer, never an exception, and are not accepted', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), (bytes) => {
        expect(isAccepted(verify(bytes))).toBe(false);
      }),
      { numRuns: name === 'collateral' ? 20 : 200 },
    );
  });

  test('a changed input is refused, or proves exactly what the input proved', () => {
    const before = proven(verify(input));
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const outcome = verify(mutate(input, randomOf(seed)));
        if (isAccepted(outcome)) expect(proven(outcome)).toBe(before);
      }),
      { numRuns: 60 },
    );
  });
});

test('the inputs are accepted as they are, but for the tokens that nobody signed', () => {
  const refused = targets.filter(({ input, verify }) => !isAccepted(verify(input)));
  expect(refused.map(({ name }) => name)).toEqual(['GPU tokens', 'Azure token']);
});

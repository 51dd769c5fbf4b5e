/** Bytes all over every signed field of every outside fixture. */
import { describe, expect, test } from 'vitest';
import { fixtures, hasFixtures } from './fixtures.ts';
import { manyBytes } from './signed-fields.ts';

describe.skipIf(!hasFixtures)('any changed byte (POSTERN_VECTORS)', () => {
  test.each(fixtures())('of $id is refused', ({ bytes, fields, verify }) => {
    for (const [name, at] of manyBytes(fields)) {
      const changed = bytes.with(at, (bytes[at] ?? 0) ^ 0x10);
      expect(verify(changed).crypto, `${name}, byte ${at}`).toBe('invalid');
    }
  });
});

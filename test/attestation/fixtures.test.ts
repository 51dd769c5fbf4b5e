/** Every signed field of every outside fixture: one changed byte is refused. */
import { describe, expect, test } from 'vitest';
import { fixtures, hasFixtures } from './fixtures.ts';
import { probes } from './signed-fields.ts';

const all = fixtures();

describe.skipIf(!hasFixtures)('one changed byte (POSTERN_VECTORS)', () => {
  test('there are fixtures of Intel, AMD and AWS', () => {
    expect(all.length).toBeGreaterThanOrEqual(24);
    const names = all.map(({ id }) => id).join(' ');
    expect(names).toMatch(/tdx4-/);
    expect(names).toMatch(/tdx5-/);
    expect(names).toMatch(/sgx3-/);
    expect(names).toMatch(/snp2-/);
    expect(names).toMatch(/snp5-/);
    expect(names).toMatch(/nitro/);
  });

  test.each(all)('of any field of $id is refused', ({ bytes, fields, verify }) => {
    expect(verify(bytes).crypto).toBe('valid');
    for (const [name, at] of probes(fields, 0.5)) {
      const changed = bytes.with(at, (bytes[at] ?? 0) ^ 0x01);
      expect(verify(changed).crypto, `${name}, byte ${at}`).toBe('invalid');
    }
  });
});

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isPlainId } from './plain-id.ts';

const form = /^[0-9A-Za-z-]{1,64}$/;

test('every character is judged by itself', () => {
  for (let code = 0; code < 0x3_00; code += 1) {
    const character = String.fromCharCode(code);
    expect(isPlainId(`a${character}`)).toBe(form.test(`a${character}`));
  }
});

test('it is what the form of an id says', () => {
  const near = fc.string({
    unit: fc.constantFrom('a', 'Z', '0', '-', '_', '"', '\u0161'),
    maxLength: 70,
  });
  fc.assert(
    fc.property(fc.oneof(near, fc.string({ unit: 'binary' }), fc.uuid()), (id) => {
      expect(isPlainId(id)).toBe(form.test(id));
    }),
  );
  expect(isPlainId('')).toBe(false);
  expect(isPlainId('a'.repeat(64))).toBe(true);
  expect(isPlainId('a'.repeat(65))).toBe(false);
});

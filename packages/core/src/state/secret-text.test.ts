import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mintSecretText, secretHint, secretTextKind } from './secret-text.ts';

const bytes = (seed: number) => (count: number) =>
  Uint8Array.from({ length: count }, (_, i) => (seed * 31 + i * 7) & 255);

describe('the text of a key', () => {
  test('has the shape that secret scanners look for, and is recognised as ours', () => {
    const text = mintSecretText(bytes(1));
    expect(text).toMatch(/^pst_[0-9A-Za-z]{36}$/);
    expect(secretTextKind(text)).toBe('ours');
    expect(secretHint(text)).toBe(text.slice(36));
  });

  test('ends in CRC-32 as zlib has it, in base62: this one is pinned', () => {
    expect(mintSecretText(() => Uint8Array.from({ length: 30 }, (_, i) => i))).toBe(
      'pst_0123456789ABCDEFGHIJKLMNOPQRST4O7hJx',
    );
  });

  test('bytes that would favour some letters are thrown away', () => {
    let call = 0;
    const text = mintSecretText((count) => {
      call += 1;
      return new Uint8Array(count).fill(call === 1 ? 255 : 61);
    });
    expect(text.slice(4, 34)).toBe('z'.repeat(30));
    expect(call).toBe(2);
  });

  test('any one changed, missing or added character is a typo', () => {
    const text = mintSecretText(bytes(2));
    fc.assert(
      fc.property(
        fc.nat({ max: text.length - 5 }),
        fc.constantFrom('a', 'Z', '0', '_', '-', 'é', ' '),
        (i, char) => {
          const at = i + 4;
          fc.pre(text[at] !== char);
          expect(secretTextKind(text.slice(0, at) + char + text.slice(at + 1))).toBe('mistyped');
          expect(secretTextKind(text.slice(0, at) + text.slice(at + 1))).toBe('mistyped');
          expect(secretTextKind(`${text}${char}`)).toBe('mistyped');
        },
      ),
    );
  });

  test('credentials of others are none of our business', () => {
    for (const foreign of ['', '-', 'sk-abc', 'PST_x', 'eyJhbGciOi.x.y', ' pst_']) {
      expect(secretTextKind(foreign)).toBe('foreign');
    }
    expect(secretTextKind('pst_')).toBe('mistyped');
    expect(secretTextKind(`pst_' OR 1=1 --`)).toBe('mistyped');
  });
});

import { compileGlob } from '@postern/core/base';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { patternCovers } from './glob.ts';

describe('whether one model pattern covers another', () => {
  const covered: readonly (readonly [wide: string, narrow: string])[] = [
    ['**', 'anything/at/all'],
    ['**', '**'],
    ['local/*', 'local/llama'],
    ['local/*', 'local/llama-*'],
    ['local/**', 'local/*'],
    ['local/**', 'local/a/*/b'],
    ['*/*', 'openai/gpt-*'],
    ['*', 'instant'],
    ['*a*', '*ba*'],
    ['a**', 'a*b**'],
    ['**b', '**ab'],
  ];
  for (const [wide, narrow] of covered) {
    test(`${wide} covers ${narrow}`, () => expect(patternCovers(wide, narrow)).toBe(true));
  }
  const uncovered: readonly (readonly [wide: string, narrow: string])[] = [
    ['*', '**'],
    ['*', 'local/llama'],
    ['local/*', 'local/**'],
    ['local/*', '*/llama'],
    ['local/llama', 'local/*'],
    ['local/llama', 'local/llam'],
    ['*/*', '*'],
    ['*a*', '*b*'],
    ['a*b', 'a*'],
  ];
  for (const [wide, narrow] of uncovered) {
    test(`${wide} does not cover ${narrow}`, () => {
      expect(patternCovers(wide, narrow)).toBe(false);
    });
  }

  const pattern = fc
    .array(fc.constantFrom('a', 'b', '/', '*', '**'), { maxLength: 6 })
    .map((parts) => parts.join(''));
  const name = fc
    .array(fc.constantFrom('a', 'b', 'c', '/'), { maxLength: 7 })
    .map((letters) => letters.join(''));

  test('what is covered matches nothing that the wider pattern does not match', () => {
    fc.assert(
      fc.property(pattern, pattern, fc.array(name, { maxLength: 30 }), (wide, narrow, names) => {
        if (!patternCovers(wide, narrow)) return;
        for (const each of names) {
          if (compileGlob(narrow)(each)) expect(compileGlob(wide)(each)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('what is not covered has a short name that shows it', () => {
    const names = namesUpTo(5, ['a', 'b', 'c', '/']);
    const short = fc
      .array(fc.constantFrom('a', 'b', '/', '*', '**'), { maxLength: 3 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(short, short, (wide, narrow) => {
        const [outer, inner] = [compileGlob(wide), compileGlob(narrow)];
        const shown = names.some((each) => inner(each) && !outer(each));
        expect(patternCovers(wide, narrow)).toBe(!shown);
      }),
    );
  });

  test('patterns that would take long are not covered, rather than waited for', () => {
    const started = performance.now();
    const wide = '*a'.repeat(60);
    const narrow = `${'*b*a'.repeat(60)}**`;
    patternCovers(wide, narrow);
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

function namesUpTo(length: number, letters: readonly string[]): readonly string[] {
  let last = [''];
  const all = [...last];
  for (let i = 0; i < length; i += 1) {
    last = last.flatMap((name) => letters.map((letter) => name + letter));
    all.push(...last);
  }
  return all;
}

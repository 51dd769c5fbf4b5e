import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileGlob } from './index.ts';

describe('a glob', () => {
  test.each([
    ['instant', 'instant', true],
    ['instant', 'instant2', false],
    ['local/*', 'local/llama', true],
    ['local/*', 'local/a/b', false],
    ['local/**', 'local/a/b', true],
    ['local/**', 'local/', true],
    ['**', 'anything/at/all', true],
    ['*', 'instant', true],
    ['*', 'a/b', false],
    ['*/gpt-*', 'openai/gpt-5', true],
    ['*/gpt-*', 'openai/o/gpt-5', false],
    ['a.c', 'abc', false],
    ['**/x', 'a/b/x', true],
    ['***', 'a/b', true],
    ['', '', true],
    ['', 'a', false],
  ])('%j against %j is %j', (pattern, name, expected) => {
    expect(compileGlob(pattern)(name)).toBe(expected);
  });

  test('agrees with the regular expression of the same meaning', () => {
    const letters = fc
      .array(fc.constantFrom('a', 'b', '/', '*', '**'), { maxLength: 6 })
      .map((all) => all.join(''));
    const names = fc
      .array(fc.constantFrom('a', 'b', '/'), { maxLength: 8 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(letters, names, (pattern, name) => {
        const source = pattern
          .split(/(\*\*|\*)/)
          .map((piece) => (piece === '**' ? '.*' : piece === '*' ? '[^/]*' : piece))
          .join('');
        return compileGlob(pattern)(name) === new RegExp(`^(?:${source})$`).test(name);
      }),
    );
  });

  test('a hostile pattern stays quick and a giant one matches nothing', () => {
    expect(compileGlob(`${'*a'.repeat(200)}b`)('a'.repeat(2_000))).toBe(false);
    expect(compileGlob('*'.repeat(10_000))('x')).toBe(false);
  });
});

import { expect, test } from 'vitest';
import { goQuote } from './quote.ts';

test.each([
  ['', '""'],
  ['plain text', '"plain text"'],
  ['"\\', '"\\"\\\\"'],
  ['\u0000\u0007\n\u007f', '"\\x00\\a\\n\\x7f"'],
  ['\u00a0\u2028\ufeff', '"\\u00a0\\u2028\\ufeff"'],
  ['é😊', '"é😊"'],
  ['\u{e0001}', '"\\U000e0001"'],
])('the text %j is quoted as Go quotes it', (text, quoted) => {
  expect(goQuote(text)).toBe(quoted);
});

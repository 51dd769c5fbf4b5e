import { expect, test } from 'vitest';
import { decodeRequest } from './request.ts';

test.each([
  ['a text', '20'],
  ['less than one', 0],
  ['no whole number', 1.5],
])('best_of that is %s is refused: a server that reads it writes and bills them all', (_, said) => {
  expect(decodeRequest({ model: 'm', prompt: 'hi', best_of: said })).toMatchObject({
    ok: false,
    error: { code: 'invalid_request', param: 'best_of' },
  });
});

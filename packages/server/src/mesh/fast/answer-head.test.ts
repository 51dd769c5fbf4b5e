import { expect, test } from 'vitest';
import { readPassedHead } from './answer-head.ts';

const read = (lines: readonly string[]) => readPassedHead(lines.join('\r\n'), 64);

test('a head goes on with its repetitions and order, without what was for the connection', () => {
  expect(
    read([
      'HTTP/1.1 207 Multi-Status',
      'Set-Cookie: a=1',
      'Connection: keep-alive, X-Hop',
      'X-Hop: 1',
      'Set-Cookie: b=2',
      'Keep-Alive: timeout=5',
      'Content-Length: 3',
      'Trailer: x-sum',
      'X-Empty:',
    ]),
  ).toEqual({
    status: 207,
    text: 'HTTP/1.1 207 Multi-Status\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 3\r\nX-Empty: \r\n',
    framing: 'length',
    bodyBytes: 3,
    keeps: true,
  });
});

test('the end of the body is told in one way, and whether the connection may be used again', () => {
  const facts = (lines: readonly string[]) => {
    const { framing, keeps } = read(lines) ?? {};
    return [framing, keeps];
  };
  expect(facts(['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'])).toEqual(['chunked', true]);
  expect(facts(['HTTP/1.1 200', 'Content-Length: 0', 'Connection: close'])).toEqual([
    'length',
    false,
  ]);
  expect(facts(['HTTP/1.1 200 OK'])).toEqual(['close', false]);
  expect(facts(['HTTP/1.1 304 Not Modified', 'Content-Length: 9'])).toEqual(['none', true]);
  expect(facts(['HTTP/1.1 103 Early Hints', 'Link: </a>'])).toEqual(['none', true]);
  expect(facts(['HTTP/1.0 200 OK', 'Content-Length: 1'])).toEqual(['length', false]);
});

test('a head that two readers could read in two ways is none', () => {
  for (const lines of [
    ['HTTP/2 200 OK'],
    ['HTTP/1.1 20 OK'],
    ['HTTP/1.1 600 X'],
    ['HTTP/1.1 200 OK', 'Content-Length: 1', 'Content-Length: 1'],
    ['HTTP/1.1 200 OK', 'Content-Length: +1'],
    ['HTTP/1.1 200 OK', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
    ['HTTP/1.1 200 OK', 'Transfer-Encoding: gzip, chunked'],
    ['HTTP/1.0 200 OK', 'Transfer-Encoding: chunked'],
    ['HTTP/1.1 200 OK', 'X : 1'],
    ['HTTP/1.1 200 OK', ' folded: 1'],
    ['HTTP/1.1 200 OK', 'no colon'],
    ['HTTP/1.1 200 OK', 'x: a\nb'],
    ['HTTP/1.1 200 OK', 'x: \u0000'],
    ['HTTP/1.1 200 OK', ...Array.from({ length: 65 }, (_, i) => `x-${i}: 1`)],
  ]) {
    expect(read(lines)).toBeUndefined();
  }
});

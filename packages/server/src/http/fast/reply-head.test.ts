import fc from 'fast-check';
import { expect, test } from 'vitest';
import { headText, type ReplyHead, wholeAnswer } from './reply-head.ts';

const json = Object.freeze({ 'content-type': 'application/json' });
const usual: ReplyHead = {
  status: 200,
  headers: json,
  added: undefined,
  requestId: '01k9req',
  nowMs: 1_760_000_000_123,
  keepAliveMs: 5_000,
};

function linesOf(text: string): NonNullable<ReplyHead['added']> {
  const bytes = Buffer.from(text, 'latin1');
  return { length: bytes.length, write: (target, at) => target.set(bytes, at) };
}

test('an answer in one piece is this one', () => {
  expect(wholeAnswer(usual, Buffer.from('{"a":"é"}')).toString('utf8')).toBe(
    'HTTP/1.1 200 OK\r\nx-request-id: 01k9req\r\nrequest-id: 01k9req\r\ncontent-type: application/json\r\n' +
      'Date: Thu, 09 Oct 2025 08:53:20 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\ncontent-length: 10\r\n\r\n{"a":"é"}',
  );
});

test('what was added stands behind what the answer has of its own', () => {
  const added = linesOf('x-ratelimit-remaining-requests: 59\r\nx-b: é\r\n');
  expect(wholeAnswer({ ...usual, added }, Buffer.from('{}')).toString('latin1')).toBe(
    'HTTP/1.1 200 OK\r\nx-request-id: 01k9req\r\nrequest-id: 01k9req\r\ncontent-type: application/json\r\n' +
      'Date: Thu, 09 Oct 2025 08:53:20 GMT\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\ncontent-length: 2\r\n' +
      'x-ratelimit-remaining-requests: 59\r\nx-b: é\r\n\r\n{}',
  );
});

const heads: fc.Arbitrary<ReplyHead> = fc.record({
  status: fc.constantFrom(200, 404, 599),
  headers: fc.constantFrom<ReplyHead['headers'][]>(
    json,
    { 'content-type': 'text/plain', 'x-a': 'é', 'request-id': 'not ours' },
    { connection: 'close' },
    {},
  ),
  added: fc.constantFrom(undefined, linesOf('x-b: 1\r\n'), linesOf('x-b: 22\r\nx-c: é\r\n')),
  requestId: fc.constantFrom('a', 'HTTP', 'x-request-id', '01k9req', '01k9rer'),
  nowMs: fc.constantFrom(1_760_000_000_123, 1_760_000_000_999, 1_760_000_001_000),
  keepAliveMs: fc.constantFrom(5_000, 72_000, undefined),
});

test('whatever came before it, it says what the head says that is written as text', () => {
  const body = fc.nat({ max: 12_000 }).map((length) => Buffer.alloc(length, 'x'));
  fc.assert(
    fc.property(heads, body, (head, bytes) => {
      const text = headText(head, `content-length: ${bytes.length}\r\n`);
      expect(wholeAnswer(head, bytes).toString('latin1')).toBe(text + bytes.toString('latin1'));
    }),
    { numRuns: 500 },
  );
});

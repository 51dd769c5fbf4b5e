import fc from 'fast-check';
import { expect, test } from 'vitest';
import { utf8Text } from '../../base/index.ts';
import {
  answerDocument,
  enrolmentDocument,
  type EnrolmentRequest,
  enrolmentText,
  readAnswer,
  readEnrolment,
} from './request.ts';

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const csr = fc.uint8Array({ minLength: 1, maxLength: 300 });
const id = bytes(20).map((each) => Buffer.from(each).toString('hex'));
const atMs = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const requests: fc.Arbitrary<EnrolmentRequest> = fc.oneof(
  fc.record({
    kind: fc.constant('join' as const),
    app: id,
    renewalKey: bytes(32),
    csr,
    atMs,
    proof: bytes(64),
  }),
  fc.record({ kind: fc.constant('renew' as const), instance: id, csr, atMs, proof: bytes(64) }),
);

test('a request is read back as it was written', () => {
  fc.assert(
    fc.property(requests, (request) => {
      const text = JSON.stringify(enrolmentDocument(request));
      expect(readEnrolment(JSON.parse(text))).toEqual({ ok: true, value: request });
    }),
  );
});

test('an answer is read back as it was written', () => {
  const answer = {
    app: 'aa'.repeat(20),
    instance: 'bb'.repeat(20),
    trustDomain: 'mesh.example',
    chain: [new Uint8Array([48, 0])],
    bundle: { keys: [] },
  };
  expect(readAnswer(answerDocument(answer))).toEqual({ ok: true, value: answer });
});

test('whatever is sent gives a request or a sentence, and never an exception', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void readEnrolment(value as never)));
  fc.assert(fc.property(fc.jsonValue(), (value) => void readAnswer(value as never)));
});

test('fields of another request, unknown fields and wrong lengths are refused', () => {
  const good = {
    instance: 'aa'.repeat(20),
    csr: 'MAA=',
    at: 5,
    proof: Buffer.alloc(64).toString('base64'),
  };
  expect(readEnrolment(good).ok).toBe(true);
  for (const bad of [
    { ...good, app: 'aa'.repeat(20) },
    { ...good, more: 1 },
    { ...good, at: -1 },
    { ...good, at: 1.5 },
    { ...good, proof: 'AAAA' },
    { ...good, instance: 'AA'.repeat(20) },
    { ...good, csr: '' },
    [],
    null,
  ]) {
    expect(readEnrolment(bad as never).ok).toBe(false);
  }
});

test('a proof says of which kind, for whom, when and over which request it is', () => {
  const hash = new Uint8Array(32).fill(1);
  const text = utf8Text(enrolmentText({ kind: 'renew', whom: 'ab', atMs: 7 }, hash));
  expect(text).toBe(`postern-mesh-enrolment-v1\nrenew\nab\n7\n${'01'.repeat(32)}\n`);
});

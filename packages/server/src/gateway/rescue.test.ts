import { expect, test } from 'vitest';
import { createFakeExchange } from '../../../../test/fakes/exchange.ts';
import { refusalOfFault } from './rescue.ts';

test.each<[string, unknown, { code: string; retryAfterMs: number | undefined }]>([
  ['a defect', new TypeError('x is not a function'), { code: 'internal', retryAfterMs: undefined }],
  ['something thrown that is no error', 'EMFILE', { code: 'internal', retryAfterMs: undefined }],
  ...['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC'].map(
    (code): [string, unknown, { code: string; retryAfterMs: number }] => [
      code,
      Object.assign(new Error(`${code}: no more`), { code }),
      { code: 'overloaded', retryAfterMs: 1_000 },
    ],
  ),
])('%s', (_name, fault, { code, retryAfterMs }) => {
  const told: unknown[] = [];
  const refused = refusalOfFault(fault, createFakeExchange().request, (cause) => told.push(cause));
  expect(refused.code).toBe(code);
  expect(refused.retryAfterMs).toBe(retryAfterMs);
  expect(told).toEqual([fault]);
});

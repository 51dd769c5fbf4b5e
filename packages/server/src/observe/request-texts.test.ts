import { fieldsText } from '@postern/core/state/audit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { accessLine, infoLine, requestLine } from './access-log.ts';
import { requestRecord } from './audit/index.ts';
import type { Settlement } from './settlement.ts';

const nowMs = 1_760_000_000_123;

const subjects = ['k1', 'k2', 'ключ"'].map((id) => ({
  authority: 'key' as const,
  id,
  kind: 'key' as const,
  display: id,
  selectors: [],
}));
const names = fc.constantFrom(undefined, 'm', 'p/m', 'a"b', 'é', 'x'.repeat(600), '\ud800');
const counts = fc.constantFrom(0, 1, 250, 2 ** 40);
const usages = fc.option(
  fc.record({
    input: counts,
    cacheRead: counts,
    cacheWrite: counts,
    cacheWriteHour: counts,
    output: counts,
    reasoning: counts,
  }),
  { nil: undefined },
);
const requests = fc.record({
  id: fc.constantFrom('0199-a', 'with "quotes"'),
  listener: fc.constantFrom('gateway', 'public'),
  method: fc.constantFrom('POST', 'BREW'),
  path: fc.constantFrom('/v1/chat/completions', '/v1/models/é', '/elsewhere'),
  clientAddress: fc.constantFrom(undefined, '127.0.0.1', '::1'),
  receivedAtMs: fc.constantFrom(nowMs - 5, nowMs - 5.5),
  tag: fc.constantFrom(undefined, '00000000-0000-0000-0000-000000000000', 'sk-secret'),
});
/** In any order after one another, as a process sees them: what was remembered of one must not show in the next. */
const settlements = fc.record({
  request: requests,
  caller: fc.option(
    fc.record({
      subject: fc.constantFrom(...subjects),
      via: fc.constantFrom(undefined, ...subjects),
    }),
    { nil: undefined },
  ),
  dialect: fc.constantFrom(undefined, 'openai-chat'),
  asked: names,
  model: names,
  target: names,
  decisionId: names,
  rule: names,
  outcome: fc.constantFrom('complete', 'aborted', 'failed', 'refused'),
  attempts: fc.constantFrom(0, 1, 3),
  usage: usages,
  estimated: fc.boolean(),
  cost: fc.constantFrom(undefined, 0, 12_345),
  accounts: fc.constantFrom(undefined, [], ['research'], ['a', 'b"']),
  status: fc.constantFrom(0, 200, 499),
  bytes: counts,
  firstByteMs: fc.constantFrom(undefined, 0, 1.4, 3),
  durationMs: fc.constantFrom(0, 5, 5.6),
});

function settlementOf(given: ReturnType<typeof settlements.generate>['value']): Settlement {
  const { tag, ...request } = given.request;
  const headers = { get: (name: string) => (name === 'session-id' ? tag : undefined) };
  // What is read of a settlement are these members and no others.
  return {
    ...given,
    refusal: undefined,
    request: { ...request, headers },
  } as unknown as Settlement;
}

test('the line of a request is the one that its fields make', () => {
  fc.assert(
    fc.property(fc.array(settlements, { maxLength: 4 }), (given) => {
      for (const settlement of given.map(settlementOf)) {
        const atMs = settlement.request.receivedAtMs + settlement.durationMs;
        expect(requestLine(settlement)).toBe(infoLine(accessLine(settlement), atMs));
      }
    }),
    { numRuns: 1_000 },
  );
});

test('the text of a record is the one that its fields make', () => {
  fc.assert(
    fc.property(fc.array(settlements, { maxLength: 4 }), (given) => {
      for (const settlement of given.map(settlementOf)) {
        const record = requestRecord(settlement, nowMs, (text) =>
          `d${text.length}`.padEnd(64, '0'),
        );
        expect(record.text).toBe(fieldsText(record.fields));
      }
    }),
    { numRuns: 1_000 },
  );
});

test('usual requests of one caller are written from what repeats', () => {
  const caller = { subject: subjects[0] };
  const usage = {
    input: 3,
    cacheRead: 1,
    cacheWrite: 0,
    cacheWriteHour: 0,
    output: 4,
    reasoning: 2,
  };
  const request = {
    id: 'r-1',
    listener: 'gateway',
    method: 'POST',
    path: '/v1/chat/completions',
    clientAddress: '127.0.0.1',
    receivedAtMs: nowMs - 5,
  };
  const usual = {
    request,
    caller,
    dialect: 'openai-chat',
    asked: 'm',
    model: 'p/m',
    target: 'p/m',
    decisionId: 'd',
    rule: 'policy.hujson:7',
    outcome: 'complete',
    attempts: 1,
    usage,
    estimated: false,
    cost: 7,
    accounts: ['research'],
    status: 200,
    bytes: 552,
    firstByteMs: 4,
    durationMs: 5,
  };
  // As above.
  const record = requestRecord(usual as unknown as Settlement, nowMs, (text) => text);
  expect(record.text).toBe(
    '{"accounts":["research"],"asked":"m","attempts":1,"bytes":552,"caller":"key:k1","client":"127.0.0.1",' +
      '"cost_nano_usd":7,"decision":"d","dialect":"openai-chat","duration_ms":5,"first_byte_ms":4,' +
      '"listener":"gateway","method":"POST","model":"p/m","outcome":"complete","path":"/v1/chat/completions",' +
      '"received_ms":1760000000118,"request_id":"r-1","rule":"policy.hujson:7","status":200,"target":"p/m",' +
      '"tokens_cache_read":1,"tokens_cache_write":0,"tokens_input":3,"tokens_output":4,"tokens_reasoning":2}',
  );
});

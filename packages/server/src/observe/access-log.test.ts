import fc from 'fast-check';
import { expect, test } from 'vitest';
import { infoLine } from './access-log.ts';
import { createLogger } from './log.ts';

const nowMs = 1_760_000_000_123;

/** What the logger writes of fields, at the one time that the lines here have. */
function loggersLine(fields: Record<string, unknown>): string {
  let written = '';
  const write = (line: string): void => {
    written += line;
  };
  createLogger({ level: 'info', format: 'json', write }).info(fields, 'request');
  return written.replace(/"ts":"[^"]*"/, `"ts":"${new Date(nowMs).toISOString()}"`);
}

const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('a"b', 'a\\b', 'a\nb', '\u0000', '\u2028', '\u007f', '漢'.repeat(50)),
);
const values = fc.oneof(
  texts,
  fc.integer(),
  fc.double(),
  fc.constantFrom(undefined, true, false, Number.NaN, 0.5),
);

test('a line that is written by hand is the line that the logger writes', () => {
  const fields = fc.record(
    {
      request_id: texts,
      status: values,
      duration_ms: values,
      caller: texts,
      asked: texts,
      model: values,
      estimated: values,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fields, (given) => {
      expect(infoLine(given, nowMs)).toBe(loggersLine(given));
    }),
    { numRuns: 500 },
  );
});

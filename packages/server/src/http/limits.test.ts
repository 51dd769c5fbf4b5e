import { expect, test } from 'vitest';
import { httpLimits, limitsWith } from './limits.ts';

test('inconsistent limits are a bug that shows at start', () => {
  expect(limitsWith({})).toEqual(httpLimits);
  expect(limitsWith({ headMs: 20_000 }).headMs).toBe(20_000);
  expect(() => limitsWith({ targetBytesMax: httpLimits.headBytesMax })).toThrow('a target fits');
  expect(() => limitsWith({ connectionsMax: 0 })).toThrow('positive integer');
  expect(() => limitsWith({ connectionsMax: 10 })).toThrow('a source is part of all');
  expect(() => limitsWith({ firstByteMs: 60_000 })).toThrow('a head starts');
  expect(() => limitsWith({ bodyPauseMsMax: 400_000 })).toThrow('a pause is part');
});

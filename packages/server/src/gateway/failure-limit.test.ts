import { describe, expect, test } from 'vitest';
import { FailureLimit, sourceOf } from './failure-limit.ts';

describe('the failure limit', () => {
  test('lets a thousand through, then one every 0.6 s', () => {
    const limit = new FailureLimit();
    for (let i = 0; i < 1_000; i += 1) expect(limit.failed('a', 0)).toBeUndefined();
    expect(limit.failed('a', 0)?.code).toBe('rate_limited');
    expect(limit.failed('a', 599)?.code).toBe('rate_limited');
    expect(limit.failed('a', 600)).toBeUndefined();
    expect(limit.failed('a', 600)?.code).toBe('rate_limited');
    expect(limit.failed('b', 600)).toBeUndefined();
  });

  test('forgets everything after ten quiet minutes, and does not gain by a clock that goes back', () => {
    const limit = new FailureLimit();
    for (let i = 0; i < 1_000; i += 1) limit.failed('a', 1_000_000);
    expect(limit.failed('a', 0)?.code).toBe('rate_limited');
    expect(limit.failed('a', 1_600_000)).toBeUndefined();
  });

  test('a storm of sources costs bounded memory and forgets the oldest first', () => {
    const limit = new FailureLimit();
    for (let i = 0; i < 1_000; i += 1) limit.failed('first', 0);
    for (let i = 0; i < 20_000; i += 1) limit.failed(`s${i}`, 0);
    expect(limit.failed('first', 0)).toBeUndefined();
  });

  test('a source is one IPv4 address or one IPv6 /64', () => {
    expect(sourceOf('::ffff:192.0.2.1')).toBe(sourceOf('192.0.2.1'));
    expect(sourceOf('2001:db8::1')).toBe(sourceOf('2001:db8::ffff'));
    expect(sourceOf('2001:db8::1')).not.toBe(sourceOf('2001:db8:0:1::1'));
    expect(sourceOf('192.0.2.1')).not.toBe(sourceOf('192.0.2.2'));
    expect(sourceOf('')).toBe('');
  });
});

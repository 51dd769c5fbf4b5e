import { err, ok } from '@postern/core/base';
import type { Result } from '@postern/core/base';

const form = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?(?:Z|[+-]\d{2}:\d{2}))?$/;

/** `--now`: an RFC 3339 time or a date; what is judged is judged as of then. */
export function parseTime(
  option: string | boolean | undefined,
  nowMs: number,
): Result<number, string> {
  if (typeof option !== 'string') return ok(nowMs);
  const ms = form.test(option) ? Date.parse(option) : Number.NaN;
  return Number.isNaN(ms)
    ? err(`--now takes a time such as 2026-03-01T12:00:00Z, not "${option}".`)
    : ok(ms);
}

/** Durations in Go's notation, which `checkPeriod` uses. */
import { goQuote } from '../../base/quote.ts';
import { err, ok, type Result } from '../../base/result.ts';

const unitMs: ReadonlyMap<string, number> = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3],
  ['μs', 1e-3],
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** What a 64-bit count of nanoseconds holds: about 292 years. */
const durationMsMax = 9_223_372_036_854;

/** Reads `1h30m`, `-1m`, `0`, `1.5s` as milliseconds. Messages are those of Go's `time.ParseDuration`. */
export function parseDurationMs(text: string): Result<number, string> {
  const invalid = err(`time: invalid duration ${goQuote(text)}`);
  const sign = text.startsWith('-') ? -1 : 1;
  let rest = text.replace(/^[+-]/, '');
  if (rest === '0') return ok(0);
  if (rest === '') return invalid;
  let totalMs = 0;
  while (rest !== '') {
    const number = /^(?:[0-9]+\.?[0-9]*|\.[0-9]+)/.exec(rest)?.[0];
    if (number === undefined) return invalid;
    rest = rest.slice(number.length);
    const unit = /^[^0-9.]+/.exec(rest)?.[0];
    if (unit === undefined) return err(`time: missing unit in duration ${goQuote(text)}`);
    const factor = unitMs.get(unit);
    if (factor === undefined) {
      return err(`time: unknown unit ${goQuote(unit)} in duration ${goQuote(text)}`);
    }
    rest = rest.slice(unit.length);
    totalMs += Number(number) * factor;
    if (totalMs > durationMsMax) return invalid;
  }
  return ok(sign * totalMs);
}

/** As Go prints it: `168h0m1s`, `1m0s`, `1.5s`, `0s`. Below one second in milliseconds. */
export function formatDurationMs(durationMs: number): string {
  const sign = durationMs < 0 ? '-' : '';
  const whole = Math.abs(durationMs);
  if (whole === 0) return '0s';
  if (whole < 1_000) return `${sign}${whole}ms`;
  const hours = Math.floor(whole / 3_600_000);
  const minutes = Math.floor((whole % 3_600_000) / 60_000);
  const seconds = (whole % 60_000) / 1_000;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

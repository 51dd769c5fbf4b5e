import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Milliseconds of a span such as `12h` or `30d`; undefined where the text is none. */
export function spanMs(text: string): number | undefined {
  const span = /^(\d{1,6})([smhdw])$/.exec(text);
  return span === null ? undefined : Number(span[1]) * (unitMs[span[2] ?? ''] ?? 0);
}

/** A hundred years: what is meant to last longer has no end at all. */
const futureMsMax = 100 * 365 * 86_400_000;

/** Epoch ms of `12h`, `30d` (from now) or of an RFC 3339 time. */
export function parseWhen(text: string, nowMs: number): Result<number, string> {
  const ms = spanMs(text);
  if (ms !== undefined) {
    if (ms === 0) return err('the time to live is zero');
    return ms <= futureMsMax ? ok(nowMs + ms) : err(`${text} is too far away`);
  }
  const absolute = parseRfc3339(text);
  if (absolute === undefined)
    return err(
      `"${text}" is neither a time to live such as 12h or 30d nor an RFC 3339 time such as 2030-01-31T12:00:00Z`,
    );
  if (absolute <= nowMs) return err(`${text} is in the past`);
  return absolute - nowMs <= futureMsMax ? ok(absolute) : err(`${text} is too far away`);
}

/** Epoch ms of `12h`, `30d` (ago), of a day such as `2030-01-31` (its begin in UTC) or of an RFC 3339 time. */
export function parseSince(text: string, nowMs: number): Result<number, string> {
  const ms = spanMs(text);
  if (ms !== undefined) return ok(Math.max(0, nowMs - ms));
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const absolute = parseRfc3339(isDay ? `${text}T00:00:00Z` : text);
  return absolute === undefined
    ? err(
        `"${text}" is neither a span such as 12h or 30d nor a time such as 2030-01-31 or 2030-01-31T12:00:00Z`,
      )
    : ok(absolute);
}

/** RFC 3339 section 5.6: the offset is not optional, and the day must exist in its month. */
function parseRfc3339(text: string): number | undefined {
  const parts = /^(\d{4}-\d{2}-)(\d{2})T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/.exec(
    text,
  );
  if (parts === null) return undefined;
  const [, month = '', day = ''] = parts;
  const midnight = new Date(`${month}${day}T00:00:00Z`);
  if (Number.isNaN(midnight.getTime()) || midnight.getUTCDate() !== Number(day)) return undefined;
  const time = Date.parse(text);
  return Number.isNaN(time) ? undefined : time;
}

/** `3 days ago`, `in 2 hours`: for tables. */
export function ago(iso: string, nowMs: number): string {
  const ms = nowMs - Date.parse(iso);
  const size = Math.abs(ms);
  const [count, unit] =
    size >= 172_800_000
      ? [size / 86_400_000, 'days']
      : size >= 7_200_000
        ? [size / 3_600_000, 'hours']
        : size >= 120_000
          ? [size / 60_000, 'minutes']
          : [size / 1_000, 'seconds'];
  const words = `${Math.round(count)} ${unit}`;
  return ms >= 0 ? `${words} ago` : `in ${words}`;
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';

const unitMs: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** Epoch ms of `12h`, `30d` (from now) or of an RFC 3339 time. */
export function parseWhen(text: string, nowMs: number): Result<number, string> {
  const relative = /^(\d{1,6})([smhdw])$/.exec(text);
  if (relative !== null) {
    const ms = Number(relative[1]) * (unitMs[relative[2] ?? ''] ?? 0);
    return ms > 0 ? ok(nowMs + ms) : err('the time to live is zero');
  }
  const absolute = /^\d{4}-\d{2}-\d{2}T/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(absolute))
    return err(`"${text}" is neither a time to live such as 12h or 30d nor an RFC 3339 time`);
  return absolute > nowMs ? ok(absolute) : err(`${text} is in the past`);
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

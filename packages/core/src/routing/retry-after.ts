/** `retry-after` as milliseconds from now (RFC 9110 section 10.2.3), with all three forms of a date (section 5.6.7). */

/** A wait beyond a day is a mistake of the server. */
export const retryAfterMsMax = 86_400_000;

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const timeOfDay = String.raw`(?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`;
const dateForms: readonly RegExp[] = [
  // Sun, 06 Nov 1994 08:49:37 GMT
  new RegExp(
    String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\d\d) (?<month>[A-Z][a-z]{2}) (?<year>\d{4}) ${timeOfDay} GMT$`,
  ),
  // Sunday, 06-Nov-94 08:49:37 GMT
  new RegExp(
    String.raw`^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\d\d)-(?<month>[A-Z][a-z]{2})-(?<year>\d\d) ${timeOfDay} GMT$`,
  ),
  // Sun Nov  6 08:49:37 1994
  new RegExp(
    String.raw`^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?<month>[A-Z][a-z]{2}) (?<day>[ \d]\d) ${timeOfDay} (?<year>\d{4})$`,
  ),
];

/** Undefined where there is none or nobody can read it. A time that has passed is a wait of 0. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  const text = value?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d{1,9}(?:\.\d{1,6})?$/.test(text)) return bounded(Math.ceil(Number(text) * 1_000));
  const atMs = parseHttpDate(text, nowMs);
  return atMs === undefined ? undefined : bounded(atMs - nowMs);
}

function bounded(ms: number): number {
  return Math.max(0, Math.min(ms, retryAfterMsMax));
}

/** Milliseconds since 1970. `nowMs` only places years of two digits: at most 50 years ahead. */
export function parseHttpDate(text: string, nowMs: number): number | undefined {
  for (const form of dateForms) {
    const parts = form.exec(text)?.groups;
    if (parts !== undefined) return instantOf(parts, nowMs);
  }
  return undefined;
}

function instantOf(
  parts: Readonly<Record<string, string | undefined>>,
  nowMs: number,
): number | undefined {
  const number = (name: string): number => Number((parts[name] ?? '').trim());
  const month = months.indexOf(parts['month'] ?? '');
  const [day, hour, minute, second] = [
    number('day'),
    number('hour'),
    number('minute'),
    number('second'),
  ];
  const year = parts['year']?.length === 2 ? fullYear(number('year'), nowMs) : number('year');
  if (month < 0 || hour > 23 || minute > 59 || second > 60) return undefined;
  const dayStart = Date.UTC(year, month, day);
  // The thirtieth of February is no day.
  if (day < 1 || new Date(dayStart).getUTCDate() !== day) return undefined;
  return dayStart + ((hour * 60 + minute) * 60 + second) * 1_000;
}

function fullYear(twoDigits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + twoDigits;
  return year > thisYear + 50 ? year - 100 : year;
}

/** Text to address, exactly as strict as Go's `netip.ParseAddr`, with its messages. */
import { goQuote } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import { type Addr, addrOfKey, firstKey6 } from './addr.ts';

/**
 * Longest text looked at. The longest address without zone has 45 characters; interface names end at 15 on
 * Linux and at 256 on Windows.
 */
const addrTextCharsMax = 512;

type Parsed<T> = Result<T, { readonly message: string; readonly at?: string }>;

/**
 * Reads `1.2.3.4`, `2001:db8::1`, `::ffff:1.2.3.4`, `fe80::1%eth0`. Refuses leading zeros, fewer than four
 * IPv4 fields, empty zones, brackets and white space. The error is Go's text.
 */
export function parseAddr(text: string): Result<Addr, string> {
  const parsed = text.length > addrTextCharsMax ? refuse('unable to parse IP') : parseEither(text);
  if (parsed.ok) return parsed;
  const { message, at } = parsed.error;
  const where = at === undefined || at === '' ? '' : ` (at ${goQuote(at)})`;
  return err(`ParseAddr(${goQuote(text)}): ${message}${where}`);
}

function refuse(message: string, at?: string): Parsed<never> {
  return err(at === undefined ? { message } : { message, at });
}

function parseEither(text: string): Parsed<Addr> {
  const found = /[.:%]/.exec(text)?.[0];
  if (found === '.') {
    const value = parseV4(text);
    return value.ok ? ok(addrOfKey(value.value)) : value;
  }
  if (found === ':') return parseV6(text);
  // A zone is a suffix of an IPv6 address, and there is none before the `%`.
  if (found === '%') return refuse('missing IPv6 address');
  return refuse('unable to parse IP');
}

/** The IPv4 value of four decimal fields. */
function parseV4(text: string): Parsed<bigint> {
  let value = 0;
  let field = 0;
  let fields = 0;
  let digits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const char = text.charAt(i);
    if (char >= '0' && char <= '9') {
      if (digits === 1 && field === 0) return refuse('IPv4 field has octet with leading zero');
      field = field * 10 + Number(char);
      digits += 1;
      if (field > 255) return refuse('IPv4 field has value >255');
    } else if (char === '.') {
      if (digits === 0 || i === text.length - 1) {
        return refuse('IPv4 field must have at least one digit', text.slice(i));
      }
      if (fields === 3) return refuse('IPv4 address too long');
      value = value * 256 + field;
      fields += 1;
      field = 0;
      digits = 0;
    } else {
      return refuse('unexpected character', text.slice(i));
    }
  }
  if (fields < 3) return refuse('IPv4 address too short');
  return ok(BigInt(value * 256 + field));
}

function parseV6(text: string): Parsed<Addr> {
  const percent = text.indexOf('%');
  const zone = percent < 0 ? '' : text.slice(percent + 1);
  if (percent >= 0 && zone === '') return refuse('zone must be a non-empty string');
  const groups = parseGroups(percent < 0 ? text : text.slice(0, percent));
  if (!groups.ok) return groups;
  let value = 0n;
  for (const group of groups.value) value = (value << 16n) | BigInt(group);
  return ok({ key: firstKey6 + value, zone });
}

/** A group of hex digits at the start of `rest`: its value and its length, at least one. */
function parseGroup(rest: string): Parsed<{ readonly value: number; readonly length: number }> {
  const digits = /^[0-9a-fA-F]*/.exec(rest)?.[0] ?? '';
  if (digits.length > 4) return refuse('each group must have 4 or less digits', rest);
  if (digits === '') {
    return refuse('each colon-separated field must have at least one digit', rest);
  }
  return ok({ value: Number.parseInt(digits, 16), length: digits.length });
}

function parseGroups(text: string): Parsed<readonly number[]> {
  const groups: number[] = [];
  let ellipsis = -1;
  let rest = text;
  if (rest.startsWith('::')) {
    ellipsis = 0;
    rest = rest.slice(2);
  }
  while (groups.length < 8 && (rest !== '' || ellipsis !== groups.length)) {
    const group = parseGroup(rest);
    if (!group.ok) return group;
    if (rest.charAt(group.value.length) === '.') {
      const tail = parseEmbeddedV4(rest, groups.length, ellipsis >= 0);
      if (!tail.ok) return tail;
      groups.push(...tail.value);
      rest = '';
      break;
    }
    groups.push(group.value.value);
    rest = rest.slice(group.value.length);
    if (rest === '') break;
    if (!rest.startsWith(':')) return refuse('unexpected character, want colon', rest);
    if (rest === ':') return refuse('colon must be followed by more characters', rest);
    rest = rest.slice(1);
    if (rest.startsWith(':')) {
      if (ellipsis >= 0) return refuse('multiple :: in address', rest);
      ellipsis = groups.length;
      rest = rest.slice(1);
    }
  }
  if (rest !== '') return refuse('trailing garbage after address', rest);
  return expandEllipsis(groups, ellipsis);
}

function parseEmbeddedV4(
  rest: string,
  groupsBefore: number,
  hasEllipsis: boolean,
): Parsed<readonly number[]> {
  if (!hasEllipsis && groupsBefore !== 6) {
    return refuse('embedded IPv4 address must replace the final 2 fields of the address', rest);
  }
  if (groupsBefore > 6) {
    return refuse('too many hex fields to fit an embedded IPv4 at the end of the address', rest);
  }
  const value = parseV4(rest);
  if (!value.ok) return value;
  return ok([Number(value.value >> 16n), Number(value.value & 0xffffn)]);
}

function expandEllipsis(groups: readonly number[], ellipsis: number): Parsed<readonly number[]> {
  if (groups.length === 8) {
    if (ellipsis < 0) return ok(groups);
    return refuse('the :: must expand to at least one field of zeros');
  }
  if (ellipsis < 0) return refuse('address string too short');
  const zeros = Array.from({ length: 8 - groups.length }, () => 0);
  return ok([...groups.slice(0, ellipsis), ...zeros, ...groups.slice(ellipsis)]);
}

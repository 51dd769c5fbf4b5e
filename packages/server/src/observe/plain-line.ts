import { isJsonObject, jsonValueOf } from '@postern/core/base';
import type { JsonObject, JsonValue } from '@postern/core/base';

/** Characters that could move a cursor, colour a terminal or turn the direction of text. */
const unprintable = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** A log line for a person at a terminal. What callers wrote cannot leave its place in the line. */
export function describeLine(line: string): string {
  const fields = jsonValueOf(line);
  if (!isJsonObject(fields)) return line;
  const time = typeof fields['ts'] === 'string' ? fields['ts'].slice(11, 19) : '';
  const message = shown(fields['msg'] ?? '');
  const rest = message === 'request' ? requestWords(fields) : otherWords(fields);
  const level = fields['level'] === 'info' ? '' : ` ${shown(fields['level'] ?? '')}`;
  return `${time}${level} ${message === 'request' ? '' : `${message} `}${rest}`.trimEnd() + '\n';
}

function requestWords(fields: JsonObject): string {
  const words = ['method', 'path', 'status'].map((name) => shown(fields[name] ?? '-'));
  const duration = fields['duration_ms'];
  if (typeof duration === 'number') words.push(`${Math.round(duration)} ms`);
  for (const name of ['target', 'caller', 'error', 'outcome']) {
    const value = fields[name];
    if (value !== undefined && value !== 'complete') words.push(shown(value));
  }
  return words.join('  ');
}

function otherWords(fields: JsonObject): string {
  return Object.entries(fields)
    .filter(([name]) => !['ts', 'level', 'msg'].includes(name))
    .map(([name, value]) => `${name}=${shown(value)}`)
    .join(' ');
}

function shown(value: JsonValue): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replaceAll(
    unprintable,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** JSON values as texts that are equal exactly when the values are. */
import type { JsonData } from '../file/source.ts';

/** Members in the order of their names, no white space. */
export function canonicalText(value: JsonData): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) {
    return `[${value.map((item: JsonData) => canonicalText(item)).join(',')}]`;
  }
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, item]) => `${JSON.stringify(name)}:${canonicalText(item)}`).join(',')}}`;
}

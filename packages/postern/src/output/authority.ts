import type { JsonValue } from '@postern/core/base';
import { shown } from './table.ts';

const words: Readonly<Record<string, string>> = {
  'built-in': 'the built-in policy (no configuration file): you and the keys that you made',
  none: 'no policy, so nobody may call anything: write policy.hujson, then postern policy apply',
};

/** What decides about requests, as the admin API names it, in words: one of them decides, never two. */
export function authorityWords(authority: JsonValue | undefined): string {
  const name = shown(authority);
  return words[name] ?? name;
}

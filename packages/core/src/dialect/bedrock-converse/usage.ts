import type { JsonObject, JsonValue } from '../../base/index.ts';
import { isJsonObject } from '../../base/index.ts';
import { isList } from '../fields.ts';
import type { Usage } from '../model.ts';
import { isBeyond, tokenCount } from '../usage.ts';

/** Converse's usage: `inputTokens` excludes what came from or went to the cache. */
export function usageOfConverse(value: JsonValue | undefined): Usage | undefined {
  if (!isJsonObject(value)) return undefined;
  const input = tokenCount(value['inputTokens']);
  const output = tokenCount(value['outputTokens']);
  if (input === undefined && output === undefined) return undefined;
  if (isBeyond(value['inputTokens']) || isBeyond(value['outputTokens'])) return undefined;
  const details = writesOf(value['cacheDetails']);
  // A whole is no less than its parts.
  const cacheWrite = Math.max(tokenCount(value['cacheWriteInputTokens']) ?? 0, details.all);
  return {
    input: input ?? 0,
    cacheRead: tokenCount(value['cacheReadInputTokens']) ?? 0,
    cacheWrite,
    cacheWriteHour: details.hour,
    output: output ?? 0,
    reasoning: 0,
  };
}

function writesOf(details: JsonValue | undefined): Readonly<Record<'all' | 'hour', number>> {
  let all = 0;
  let hour = 0;
  for (const detail of isList(details) ? details : []) {
    if (!isJsonObject(detail)) continue;
    const written = tokenCount(detail['inputTokens']) ?? 0;
    all += written;
    if (detail['ttl'] === '1h') hour += written;
  }
  return { all, hour };
}

export function usageForConverse(usage: Usage): JsonObject {
  const hour = usage.cacheWriteHour;
  const short = usage.cacheWrite - hour;
  const details = [
    ...(hour > 0 ? [{ ttl: '1h', inputTokens: hour }] : []),
    ...(short > 0 ? [{ ttl: '5m', inputTokens: short }] : []),
  ];
  return {
    inputTokens: usage.input,
    outputTokens: usage.output,
    totalTokens: usage.input + usage.cacheRead + usage.cacheWrite + usage.output,
    cacheReadInputTokens: usage.cacheRead,
    cacheWriteInputTokens: usage.cacheWrite,
    ...(details.length === 0 ? {} : { cacheDetails: details }),
  };
}

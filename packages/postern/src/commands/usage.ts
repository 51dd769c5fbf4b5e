import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { shown, table } from '../output/table.ts';
import { parseSince } from '../output/when.ts';

const dimensions: readonly string[] = ['user', 'model', 'budget', 'hour'];

export const run: Run = async ({ options, io }) => {
  const by = typeof options['by'] === 'string' ? options['by'] : 'user';
  if (!dimensions.includes(by)) {
    io.err(`--by: "${by}" is none of ${dimensions.join(', ')}`);
    return exitCodes.usage;
  }
  let since = '';
  if (typeof options['since'] === 'string') {
    const parsed = parseSince(options['since'], Date.now());
    if (!parsed.ok) {
      io.err(`--since: ${parsed.error}`);
      return exitCodes.usage;
    }
    since = `&since=${encodeURIComponent(new Date(parsed.value).toISOString())}`;
  }
  const listed = await clientFor(io).json({
    method: 'GET',
    path: `/api/v1/usage?by=${by}${since}`,
  });
  if (!listed.ok) {
    io.err(listed.error.message);
    return listed.error.exit;
  }
  const items = itemsOf(listed.value);
  if (io.json) io.outJson(items);
  else if (items.length === 0) io.out('Nothing was used.');
  else
    io.out(
      table(
        [by, 'requests', 'input', 'output', 'usd'],
        items.map((item) => row(by, item)),
      ),
    );
  return exitCodes.ok;
};

export function itemsOf(value: JsonValue): readonly JsonObject[] {
  const items = isJsonObject(value) ? value['items'] : undefined;
  return Array.isArray(items) ? items.filter(isJsonObject) : [];
}

function row(by: string, item: JsonObject): readonly string[] {
  const input = ['input_tokens', 'cache_read_tokens', 'cache_write_tokens']
    .map((name) => Number(item[name] ?? 0))
    .reduce((sum, count) => sum + count, 0);
  return [
    nameOf(by, item),
    shown(item['requests']),
    String(input),
    shown(item['output_tokens']),
    shown(item['usd']),
  ];
}

function nameOf(by: string, item: JsonObject): string {
  const key = shown(item['key']);
  if (by === 'hour') return new Date(Number(key)).toISOString().slice(0, 13).replace('T', ' ');
  if (key === '') return '(no budget)';
  return by === 'user' ? `${shown(item['display'])} (${key})` : key;
}

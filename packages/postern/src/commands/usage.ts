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
  else {
    const apart = apartColumns.filter(({ of }) => items.some((item) => sumOf(item, of) > 0));
    io.out(
      table(
        [by, 'requests', 'input', 'output', ...apart.map(({ name }) => name), 'usd'],
        items.map((item) => row(by, item, apart)),
      ),
    );
  }
  return exitCodes.ok;
};

export function itemsOf(value: JsonValue): readonly JsonObject[] {
  const items = isJsonObject(value) ? value['items'] : undefined;
  return Array.isArray(items) ? items.filter(isJsonObject) : [];
}

interface ApartColumn {
  readonly name: string;
  readonly of: readonly string[];
}

/** What is told apart where there was any: requests that nobody reported the usage of, and what is billed beside text. */
const apartColumns: readonly ApartColumn[] = [
  { name: 'estimated', of: ['estimated_requests'] },
  { name: 'of it sound', of: ['input_audio_tokens', 'output_audio_tokens'] },
  { name: 'searches', of: ['web_searches', 'storage_searches'] },
];

function row(by: string, item: JsonObject, apart: readonly ApartColumn[]): readonly string[] {
  return [
    nameOf(by, item),
    shown(item['requests']),
    String(sumOf(item, ['input_tokens', 'cache_read_tokens', 'cache_write_tokens'])),
    shown(item['output_tokens']),
    ...apart.map(({ of }) => String(sumOf(item, of))),
    shown(item['usd']),
  ];
}

function sumOf(item: JsonObject, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + Number(item[name] ?? 0), 0);
}

function nameOf(by: string, item: JsonObject): string {
  const key = shown(item['key']);
  if (by === 'hour') return new Date(Number(key)).toISOString().slice(0, 13).replace('T', ' ');
  if (key === '') return '(no budget)';
  return by === 'user' ? `${shown(item['display'])} (${key})` : key;
}

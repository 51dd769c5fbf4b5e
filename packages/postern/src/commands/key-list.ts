import type { JsonObject } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { shown, table } from '../output/table.ts';
import { ago } from '../output/when.ts';

export const run: Run = async ({ options, io }) => {
  const client = clientFor(io);
  const keys: JsonObject[] = [];
  let after = '';
  do {
    const listed = await client.json({ method: 'GET', path: `/api/v1/keys?limit=1000${after}` });
    if (!listed.ok) {
      io.err(listed.error.message);
      return listed.error.exit;
    }
    const page = isJsonObject(listed.value) ? listed.value : {};
    const items = Array.isArray(page['items']) ? page['items'].filter(isJsonObject) : [];
    keys.push(...items);
    const next = page['next'];
    after = typeof next === 'string' ? `&after=${encodeURIComponent(next)}` : '';
  } while (after !== '');
  const shown = options['all'] === true ? keys : keys.filter((key) => key['standing'] === 'active');
  if (io.json) io.outJson(shown);
  else if (shown.length === 0) io.out('There are no keys. Make one: postern key create NAME');
  else io.out(table(['name', 'id', 'key', 'models', 'made', 'ends', 'state'], shown.map(row)));
  return exitCodes.ok;
};

function row(key: JsonObject): readonly string[] {
  const scope = isJsonObject(key['scope']) ? key['scope'] : {};
  const models = Array.isArray(scope['models'])
    ? scope['models'].map(shown).join(', ')
    : 'all that policy allows';
  const ends = typeof key['expires_at'] === 'string' ? ago(key['expires_at'], Date.now()) : 'never';
  const made = typeof key['created_at'] === 'string' ? ago(key['created_at'], Date.now()) : '?';
  return [
    shown(key['name']),
    shown(key['id']),
    `pst_…${shown(key['hint'])}`,
    models,
    made,
    ends,
    shown(key['standing']),
  ];
}

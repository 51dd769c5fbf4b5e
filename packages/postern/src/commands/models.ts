import type { JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { shown, table } from '../output/table.ts';

export const run: Run = async ({ io }) => {
  const listed = await clientFor(io).json({ method: 'GET', path: '/v1/models' });
  if (!listed.ok) {
    io.err(listed.error.message);
    return listed.error.exit;
  }
  const models =
    isJsonObject(listed.value) && Array.isArray(listed.value['data']) ? listed.value['data'] : [];
  if (io.json) io.outJson(models);
  else
    io.out(
      models.length === 0
        ? 'No model is open to you.'
        : table(['model', 'provider', 'state'], models.map(row)),
    );
  return exitCodes.ok;
};

function row(model: JsonValue): readonly string[] {
  if (!isJsonObject(model)) return ['?', '?', '?'];
  return [shown(model['id']), shown(model['owned_by']), shown(model['state'])];
}

import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown } from '../../output/table.ts';

export const run: Run = async ({ io }) => {
  const asked = await clientFor(io).json({ method: 'GET', path: '/api/v1/incidents' });
  if (!asked.ok) {
    io.err(asked.error.message);
    return asked.error.exit;
  }
  const items = isJsonObject(asked.value) ? asked.value['items'] : undefined;
  const ids = Array.isArray(items) ? items.map(shown) : [];
  if (io.json) io.outJson(ids);
  else io.out(ids.length === 0 ? 'No evidence is kept.' : ids.join('\n'));
  return exitCodes.ok;
};

import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown, table } from '../../output/table.ts';

export const run: Run = async ({ io }) => {
  const asked = await clientFor(io).json({ method: 'GET', path: '/api/v1/blocks?limit=1000' });
  if (!asked.ok) {
    io.err(asked.error.message);
    return asked.error.exit;
  }
  const page = isJsonObject(asked.value) ? asked.value : {};
  const items = Array.isArray(page['items']) ? page['items'].filter(isJsonObject) : [];
  if (io.json) io.outJson(items);
  else if (items.length === 0) io.out('Nobody is kept out.');
  else
    io.out(
      table(
        ['id', 'who', 'since', 'until', 'reason'],
        items.map((each) => [
          shown(each['id']),
          shown(each['address'] ?? each['principal']),
          shown(each['at']),
          shown(each['expires_at'] ?? 'lifted'),
          shown(each['reason'] ?? ''),
        ]),
      ),
    );
  return exitCodes.ok;
};

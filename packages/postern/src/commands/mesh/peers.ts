import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { shown, table } from '../../output/table.ts';

const columns = [
  'edge',
  'app_id',
  'instance_id',
  'port',
  'verified_by',
  'tcb_status',
  'serial',
  'since',
];

export const run: Run = async ({ io }) => {
  const answer = await clientFor(io).json({ method: 'GET', path: '/api/v1/mesh/peers' });
  if (!answer.ok) {
    io.err(answer.error.message);
    return answer.error.exit;
  }
  if (io.json) {
    io.outJson(answer.value);
    return exitCodes.ok;
  }
  const peers = isJsonObject(answer.value) ? answer.value['peers'] : [];
  const rows = (Array.isArray(peers) ? peers : []).map((peer) =>
    columns.map((column) => {
      const value = isJsonObject(peer) ? peer[column] : undefined;
      return value === null || value === undefined ? '-' : shown(value);
    }),
  );
  io.out(rows.length === 0 ? 'no connection is open' : table(columns, rows));
  return exitCodes.ok;
};

import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';

export const run: Run = async ({ args, io }) => {
  const id = args['block'] ?? '';
  const path = `/api/v1/blocks/${encodeURIComponent(id)}`;
  const done = await clientFor(io).json({ method: 'DELETE', path });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  if (io.json) io.outJson(done.value);
  else io.out(`${id} is lifted.`);
  return exitCodes.ok;
};

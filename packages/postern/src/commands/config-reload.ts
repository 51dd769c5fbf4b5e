import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { shown } from '../output/table.ts';
import { exitCodes } from '../command.ts';

export const run: Run = async ({ io }) => {
  const done = await clientFor(io).json({ method: 'POST', path: '/api/v1/config/reload' });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit === exitCodes.failed ? exitCodes.config : done.error.exit;
  }
  if (io.json) io.outJson(done.value);
  else
    io.out(
      `The configuration is ${isJsonObject(done.value) ? shown(done.value['message']) : 'in force'}.`,
    );
  return exitCodes.ok;
};

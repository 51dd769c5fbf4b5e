import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';

export const run: Run = async ({ io }) => {
  const done = await clientFor(io).json({ method: 'DELETE', path: '/api/v1/isolation' });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  if (io.json) io.outJson(done.value);
  else
    io.out(
      'Listeners open again where they were. The policy stays narrow: postern policy rollback. Look: postern check',
    );
  return exitCodes.ok;
};

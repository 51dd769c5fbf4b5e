import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { shown } from '../output/table.ts';

/** The new secret is shown this once; the old one counts no more, and what it had open is cut. */
export const run: Run = async ({ args, options, io }) => {
  const key = encodeURIComponent(args['key'] ?? '');
  const { reason } = options;
  const done = await clientFor(io).json({
    method: 'POST',
    path: `/api/v1/keys/${key}/rotate`,
    body: typeof reason === 'string' ? { reason } : {},
  });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  const made = isJsonObject(done.value) ? done.value : {};
  if (io.json) io.outJson(made);
  else {
    io.out(shown(made['secret']));
    io.err('Keep it now: it is shown this once. The old secret counts no more.');
  }
  return exitCodes.ok;
};

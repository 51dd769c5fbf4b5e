import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';

export const run: Run = async ({ args, options, io }) => {
  const key = args['key'] ?? '';
  const body = {
    ...(typeof options['reason'] === 'string' ? { reason: options['reason'] } : {}),
    ...(options['withChildren'] === true ? { with_children: true } : {}),
  };
  const done = await clientFor(io).json({
    method: 'POST',
    path: `/api/v1/keys/${encodeURIComponent(key)}/revoke`,
    body,
  });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  if (io.json) io.outJson(done.value);
  else io.out(`Revoked: ${key}. It is refused from now on.`);
  return exitCodes.ok;
};

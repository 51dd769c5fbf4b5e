import { setUpServe } from '@postern/server/app/machine';
import { resolveSettings } from '@postern/server/app/settings';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';

export const run: Run = async ({ io }) => {
  const done = await setUpServe(resolveSettings(io.flags, io.env));
  if (!done.ok) {
    io.err(done.error);
    return exitCodes.failed;
  }
  const { plan, notes, urls } = done.value;
  if (io.json) io.outJson({ kind: plan.kind, urls, notes });
  else {
    io.out(urls.join('\n'));
    for (const note of notes) io.err(note);
  }
  return exitCodes.ok;
};

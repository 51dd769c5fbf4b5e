import process from 'node:process';
import { keptToken, leave } from '@postern/server/app/joining';
import { resolveSettings } from '@postern/server/app/settings';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { quietLogger, tell, textOf } from './join.ts';

export const run: Run = async ({ options, io }) => {
  const { stateDir } = resolveSettings(io.flags, io.env);
  const ending = new AbortController();
  const onSignal = (): void => ending.abort();
  process.once('SIGINT', onSignal);
  const status = textOf(options['statusFolder']);
  const left = await leave({
    stateDir,
    credential: () => () => keptToken(stateDir),
    env: io.env,
    logger: quietLogger(),
    say: (event) => {
      if (event.kind === 'problem') tell(event, io);
    },
    signal: ending.signal,
    ...(status === undefined ? {} : { statusFolder: status }),
  });
  process.off('SIGINT', onSignal);
  if (!left.ok) {
    io.err(left.error);
    return exitCodes.failed;
  }
  if (io.json) io.outJson({ left: true, message: left.value });
  else io.out(left.value);
  return exitCodes.ok;
};

import { noteKeyText } from '@postern/core/state/audit';
import { nodeSha256 } from '@postern/server/adapters/segment-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { openSource, refused } from './source.ts';

export const run: Run = async (invocation) => {
  const { io } = invocation;
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const key = noteKeyText(source.value.key, nodeSha256);
  if (io.json) io.outJson({ origin: source.value.key.name, key });
  else io.out(key);
  return exitCodes.ok;
};

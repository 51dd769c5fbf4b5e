import path from 'node:path';
import { ContentStore } from '@postern/server/adapters/content-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { principalIn } from './filter.ts';
import { misused, openSource, refused } from './source.ts';

/** Deletes the keys of a principal's conversations. A running Postern puts that on the record with its next checkpoint. */
export const run: Run = async (invocation) => {
  const { io } = invocation;
  const named = principalIn(invocation, 'principal');
  if (!named.ok) return misused(io, named.error);
  const principal = named.value;
  if (principal === undefined) {
    return misused(io, 'Name whose conversations to erase: --principal key:key_01j…');
  }
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const keys = await new ContentStore(path.join(source.value.dir, 'content')).erase(principal);
  if (io.json) io.outJson({ principal, keys });
  else if (keys === 0) io.out(`No conversation of ${principal} is kept.`);
  else io.out(`The conversations of ${principal} cannot be read any more: ${keys} keys deleted.`);
  return exitCodes.ok;
};

import path from 'node:path';
import { proveContinuation, proveRecord } from '@postern/server/adapters/segment-file';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { countOf } from './filter.ts';
import { misused, openSource, refused } from './source.ts';

/** Prints a proof as one JSON object: it is for programs, with or without `--json`. */
export const run: Run = async (invocation) => {
  const { io, args, options } = invocation;
  const older = options['from'];
  const given = args['index'];
  if ((given === undefined) === (older === undefined)) {
    return misused(io, 'Name one record, or with --from a file with an older checkpoint.');
  }
  const source = await openSource(invocation);
  if (!source.ok) return refused(io, source.error);
  const { dir, key } = source.value;
  if (typeof older === 'string') {
    const proof = await proveContinuation(dir, key, path.resolve(older));
    if (!proof.ok) return refused(io, proof.error);
    io.outJson(proof.value);
    return exitCodes.ok;
  }
  const index = countOf(given ?? '', Number.MAX_SAFE_INTEGER);
  if (!index.ok) return misused(io, index.error);
  const proof = await proveRecord(dir, key, index.value);
  if (!proof.ok) return refused(io, proof.error);
  io.outJson(proof.value);
  return exitCodes.ok;
};

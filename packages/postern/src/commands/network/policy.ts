import { clientFor } from '../../client/index.ts';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { object, refused, text } from './answer.ts';

/** Prints the policy as the engine has it, fit for a file; how it stands to ours goes to the other stream. */
export const run: Run = async ({ io }) => {
  const got = await clientFor(io).json({ method: 'GET', path: '/api/v1/network/policy' });
  if (!got.ok) return refused(io, got.error);
  if (io.json) {
    io.outJson(got.value);
    return exitCodes.ok;
  }
  const policy = object(got.value);
  io.piece(text(policy['text']));
  const words = standing[text(policy['state'])];
  if (words !== undefined) io.err(`${words} Its etag: ${text(policy['etag'])}`);
  return exitCodes.ok;
};

const standing: Readonly<Record<string, string>> = {
  none: 'No policy was applied here yet: this one counts on the network.',
  behind: 'The policy in force here is not there yet.',
  changed: 'Somebody else wrote this one: postern policy apply --over ETAG replaces it.',
};

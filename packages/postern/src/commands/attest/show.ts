import type { Run } from '../../command.ts';
import { answer, misuse, verifyInput } from './judge.ts';

export const run: Run = async (invocation) => {
  const verified = await verifyInput(invocation);
  return verified.ok
    ? answer(invocation, verified.value.report)
    : misuse(invocation, verified.error);
};

import { configJsonSchema } from '@postern/core/contract';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';

export const run: Run = ({ io }) => {
  io.out(JSON.stringify(configJsonSchema(), null, 2));
  return Promise.resolve(exitCodes.ok);
};

import { stepCommand } from './step.ts';

export const run = stepCommand('verify-records');

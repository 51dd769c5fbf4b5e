import type { CommandSpec } from '../command.ts';

/** What an operator looks at and does, apart from the daily commands. */
export const operateCommands: readonly CommandSpec[] = [
  {
    path: 'check',
    summary: 'Judge the running Postern and its machine by the security checklist.',
    options: [{ flags: '--fix-plan', description: 'Print what to do in which order instead.' }],
    examples: ['postern check', 'postern check --fix-plan', 'postern check --json'],
    load: () => import('./check.ts'),
  },
];

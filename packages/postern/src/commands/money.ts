import type { CommandSpec } from '../command.ts';

/** What was used, what it cost, and what is left. */
export const moneyCommands: readonly CommandSpec[] = [
  {
    path: 'usage',
    summary: 'Show what was used and what it cost.',
    options: [
      { flags: '--by <what>', description: 'user (default), model, budget or hour.' },
      {
        flags: '--since <when>',
        description:
          'How far back, such as 12h or 30d, or an RFC 3339 time; the hour that it is in counts whole.',
      },
    ],
    examples: ['postern usage', 'postern usage --by budget --since 30d --json'],
    load: () => import('./usage.ts'),
  },
  {
    path: 'budget show',
    summary: 'Show budgets: capacity, what is left, what was spent and lost.',
    args: [
      {
        name: 'budget',
        required: false,
        description: 'A budget or one of its accounts; default: all.',
      },
    ],
    examples: ['postern budget show', 'postern budget show research --json'],
    load: async () => ({ run: (await import('./budget.ts')).show }),
  },
  {
    path: 'budget refill',
    summary: 'Fill a budget up before its time, or put an amount in.',
    args: [
      {
        name: 'budget',
        required: true,
        description: 'A budget (all of its accounts), or one account.',
      },
    ],
    options: [{ flags: '--usd <amount>', description: 'How much; default: up to the capacity.' }],
    examples: ['postern budget refill research', 'postern budget refill research --usd 25'],
    load: async () => ({ run: (await import('./budget.ts')).refill }),
  },
];

import type { ArgumentSpec, CommandSpec, OptionSpec } from '../command.ts';

const fileArgument: ArgumentSpec = {
  name: 'file',
  required: false,
  description:
    'A policy file, or - for standard input (default: policy.hujson beside the configuration).',
};

const overOption = {
  flags: '--over <etag>',
  description: 'Of what somebody else wrote at the engine of the network, and which may go.',
} as const;
const baseOption: OptionSpec = {
  flags: '--base <digest>',
  description: 'Digest of the policy from which the file was made (default: the one in force now).',
};

const fileOption: OptionSpec = {
  flags: '--file <file>',
  description: 'Ask about this file instead of the policy in force; needs no running Postern.',
};

/** Commands about the policy; check, fmt, test and the diff of two files need no running Postern. */
export const policyCommands: readonly CommandSpec[] = [
  {
    path: 'policy check',
    summary:
      'Say what is wrong with a policy file, and run its tests; the configuration says which limits and budgets there are.',
    args: [fileArgument],
    options: [
      {
        flags: '--for <engine>',
        description: 'Also what tailscale, headscale or embedded would refuse.',
      },
    ],
    examples: ['postern policy check', 'postern policy check policy.hujson --for headscale --json'],
    load: async () => ({ run: (await import('./policy-file.ts')).check }),
  },
  {
    path: 'policy fmt',
    summary: 'Print a policy file in its canonical layout; comments stay.',
    args: [fileArgument],
    options: [
      { flags: '--write', description: 'Write the file instead of printing it.' },
      { flags: '--check', description: 'Print nothing; exit with 1 where the layout differs.' },
    ],
    examples: ['postern policy fmt --write', 'postern policy fmt policy.hujson --check'],
    load: async () => ({ run: (await import('./policy-file.ts')).fmt }),
  },
  {
    path: 'policy test',
    summary: 'Run the tests of a policy file.',
    args: [fileArgument],
    examples: ['postern policy test', 'postern policy test policy.hujson --json'],
    load: async () => ({ run: (await import('./policy-file.ts')).test }),
  },
  {
    path: 'policy diff',
    summary:
      'Say what a policy file changes for whom: compared with the policy in force, or a file.',
    args: [fileArgument],
    options: [
      {
        flags: '--before <file>',
        description: 'Compare with this file; needs no running Postern.',
      },
      { flags: '--exit-code', description: 'Exit with 1 where anybody gains or loses access.' },
    ],
    examples: ['postern policy diff', 'postern policy diff new.hujson --before old.hujson'],
    load: async () => ({ run: (await import('./policy-file.ts')).diff }),
  },
  {
    path: 'policy explain',
    summary: 'Say why a request, an operation or a packet is allowed or not.',
    options: [
      { flags: '--who <selectors>', description: 'The caller: alice@example.com, tag:ci.' },
      { flags: '--key <name>', description: 'The caller is this key.' },
      { flags: '--model <name>', description: 'May it call this model?' },
      { flags: '--dialect <name>', description: 'In this wire format (default openai-chat).' },
      { flags: '--max-tokens <count>', description: 'With so many output tokens.' },
      { flags: '--operation <name>', description: 'May it use this operation of the admin API?' },
      { flags: '--from <selector>', description: 'A packet from here,' },
      { flags: '--to <selector>', description: '… to there,' },
      { flags: '--port <port>', description: '… as in a grant: 443, tcp:22 (default 443).' },
      { flags: '--decision <id>', description: 'The decision with this id, as in a log line.' },
      fileOption,
    ],
    examples: [
      'postern policy explain --who alice@example.com --model instant',
      'postern policy explain --from tag:ci --to tag:db --port tcp:5432 --file policy.hujson',
    ],
    load: async () => ({ run: (await import('./policy-ask.ts')).explain }),
  },
  {
    path: 'policy reach',
    summary: 'List who reaches what.',
    options: [
      { flags: '--from <selector>', description: 'Only from here.' },
      { flags: '--to <selector>', description: 'Only to there.' },
      fileOption,
    ],
    examples: ['postern policy reach', 'postern policy reach --from tag:ci --file policy.hujson'],
    load: async () => ({ run: (await import('./policy-ask.ts')).reach }),
  },
  {
    path: 'policy show',
    summary: 'Show the policy in force, a trial, waiting plans, and the file that waits.',
    options: [{ flags: '--text', description: 'Print the text of the policy and nothing else.' }],
    examples: ['postern policy show', 'postern policy show --text > policy.hujson'],
    load: async () => ({ run: (await import('./policy-ask.ts')).show }),
  },
  {
    path: 'policy plan',
    summary: 'Say what applying a policy file would mean, and keep it for an approval.',
    args: [fileArgument],
    options: [baseOption, overOption],
    examples: ['postern policy plan', 'postern policy plan policy.hujson --json'],
    load: async () => ({ run: (await import('./policy-change.ts')).plan }),
  },
  {
    path: 'policy apply',
    summary: 'Put a policy in force, on trial until it is confirmed.',
    args: [fileArgument],
    options: [
      { flags: '--plan <id>', description: 'Apply this plan instead of a file.' },
      baseOption,
      overOption,
      {
        flags: '--confirm <time>',
        description: 'How long the trial lasts, such as 30s or 5m (default 5m); 0 for none.',
      },
      { flags: '--note <text>', description: 'What people read next to the change.' },
    ],
    examples: ['postern policy apply', 'postern policy apply --plan plan_01j9 --confirm 10m'],
    load: async () => ({ run: (await import('./policy-change.ts')).apply }),
  },
  {
    path: 'policy confirm',
    summary: 'Confirm the policy that is on trial.',
    examples: ['postern policy confirm'],
    load: async () => ({ run: (await import('./policy-change.ts')).confirm }),
  },
  {
    path: 'policy rollback',
    summary: 'Take the policy in force back.',
    options: [
      {
        flags: '--expected <digest>',
        description: 'Only where this policy is in force (default: the one in force now).',
      },
      { flags: '--reason <text>', description: 'Why, for the record.' },
    ],
    examples: ['postern policy rollback --reason "ci lost its models"'],
    load: async () => ({ run: (await import('./policy-change.ts')).rollback }),
  },
  {
    path: 'approve',
    summary: 'Approve a plan of high risk, as the owner of this Postern.',
    args: [{ name: 'plan', required: true, description: 'Id of the plan.' }],
    examples: ['postern approve plan_01j9'],
    load: async () => ({ run: (await import('./policy-change.ts')).approve }),
  },
];

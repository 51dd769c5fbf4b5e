import type { CommandSpec, OptionSpec } from '../command.ts';

const source: readonly OptionSpec[] = [
  {
    flags: '--dir <folder>',
    description: 'A copy of an audit folder; default: that of the state folder.',
  },
  {
    flags: '--key <key>',
    description: 'Public key that you kept (NAME+ID+BASE64); default: the one in the folder.',
  },
];

const filters: readonly OptionSpec[] = [
  { flags: '--since <when>', description: 'A span such as 2h or 7d, a day, or an RFC 3339 time.' },
  { flags: '--until <when>', description: 'The same; records before it.' },
  { flags: '--kind <kind>', description: 'request, refusals, control, …' },
  { flags: '--caller <principal>', description: 'Who asked, such as key:key_01j….' },
  { flags: '--client <address>', description: 'Where from.' },
  { flags: '--model <name>', description: 'Alias or provider/model.' },
  { flags: '--outcome <word>', description: 'complete, refused, aborted, failed, allowed.' },
  { flags: '--error <code>', description: 'Code of the refusal.' },
  { flags: '--operation <name>', description: 'Operation of the admin API, such as key.create.' },
  { flags: '--request <id>', description: 'Id of one request.' },
];

/** The log of what happened. They read files, so that they work on copies and beside a running Postern alike. */
export const auditCommands: readonly CommandSpec[] = [
  {
    path: 'audit tail',
    summary: 'Show the last records of the audit log.',
    options: [
      { flags: '--lines <count>', description: 'How many (default 10).' },
      { flags: '--follow', description: 'Go on as records come.' },
      ...source,
    ],
    examples: ['postern audit tail', 'postern audit tail --follow --json'],
    load: () => import('./audit/tail.ts'),
  },
  {
    path: 'audit query',
    summary: 'Find records: who, what, when, how it ended.',
    options: [
      ...filters,
      { flags: '--limit <count>', description: 'Newest that are shown (default 100).' },
      ...source,
    ],
    examples: [
      'postern audit query --outcome refused --since 2h',
      'postern audit query --kind control --operation key.create --json',
    ],
    load: () => import('./audit/query.ts'),
  },
  {
    path: 'audit verify',
    summary: 'Recompute every hash and check every signed checkpoint.',
    options: [
      {
        flags: '--against <files>',
        description: 'Checkpoints kept elsewhere, separated by commas.',
      },
      {
        flags: '--witness <keys>',
        description: 'Public keys whose cosignatures a checkpoint must have, separated by commas.',
      },
      ...source,
    ],
    examples: [
      'postern audit verify',
      'postern audit verify --dir ./copy --against /mnt/witness/postern-checkpoints',
    ],
    load: () => import('./audit/verify.ts'),
  },
  {
    path: 'audit prove',
    summary: 'Prove that a record is in the log, or that the log continues an older checkpoint.',
    args: [{ name: 'index', required: false, description: 'The record.' }],
    options: [
      { flags: '--from <file>', description: 'A file with an older checkpoint.' },
      ...source,
    ],
    examples: ['postern audit prove 42 > proof.json', 'postern audit prove --from checkpoint.old'],
    load: () => import('./audit/prove.ts'),
  },
  {
    path: 'audit export',
    summary: 'Write records for other programs.',
    options: [
      { flags: '--format <format>', description: 'jsonl (default) or csv.' },
      {
        flags: '--content',
        description:
          'Conversations that grants with capture "full" keep, instead of records; by --caller, --request, --since and --until.',
      },
      ...filters,
      ...source,
    ],
    examples: ['postern audit export --format csv --since 30d > audit.csv'],
    load: () => import('./audit/export.ts'),
  },
  {
    path: 'audit erase',
    summary: 'Make the kept conversations of a principal unreadable for good.',
    options: [
      { flags: '--principal <principal>', description: 'Whose, such as key:key_01j….' },
      ...source,
    ],
    examples: ['postern audit erase --principal key:key_01kdv8q1x0'],
    load: () => import('./audit/erase.ts'),
  },
  {
    path: 'audit key',
    summary: 'Print the public key that signs the checkpoints. Keep it elsewhere.',
    options: source,
    examples: ['postern audit key'],
    load: () => import('./audit/key.ts'),
  },
];

import type { CommandSpec } from '../command.ts';

const reasonOption = { flags: '--reason <text>', description: 'Why, for the record.' } as const;

/** Every command, in the order of the help. */
export const commands: readonly CommandSpec[] = [
  {
    path: 'up',
    summary: 'Start the gateway.',
    options: [
      {
        flags: '--port <port>',
        description: 'Port, :PORT or HOST:PORT of the gateway (default 8080 on loopback).',
      },
      {
        flags: '--log <format>',
        description: 'json or plain; default: plain at a terminal, else json.',
      },
      { flags: '--log-level <level>', description: 'error, warn, info or debug (default info).' },
    ],
    examples: [
      'postern up',
      'postern up --port 9000',
      'postern up --config /etc/postern/postern.hujson',
    ],
    load: () => import('./up.ts'),
  },
  {
    path: 'init',
    summary: 'Write a first configuration file.',
    options: [
      { flags: '--yes', description: 'Ask nothing; take what was detected.' },
      { flags: '--force', description: 'Replace a file that is there.' },
    ],
    examples: ['postern init', 'postern init --yes --config ./postern.hujson'],
    load: () => import('./init.ts'),
  },
  {
    path: 'status',
    summary: 'Show what the running Postern does: listeners, models, state.',
    examples: ['postern status', 'postern status --json'],
    load: () => import('./status.ts'),
  },
  {
    path: 'doctor',
    summary: 'Look for what is wrong on this machine and say how to mend it.',
    examples: ['postern doctor'],
    load: () => import('./doctor.ts'),
  },
  {
    path: 'ask',
    summary: 'Ask a model and print its answer as it comes.',
    args: [
      {
        name: 'prompt',
        required: false,
        description: 'The question; without it, standard input is read.',
      },
    ],
    options: [
      { flags: '--model <name>', description: 'Alias or provider/model.' },
      { flags: '--system <text>', description: 'Instructions for the model.' },
    ],
    examples: [
      'postern ask "Why is my build slow?"',
      'git diff | postern ask --system "Review this change."',
    ],
    load: () => import('./ask.ts'),
  },
  {
    path: 'models',
    summary: 'List the models that you may call.',
    examples: ['postern models'],
    load: () => import('./models.ts'),
  },
  {
    path: 'key create',
    summary: 'Make a key; it is shown once.',
    args: [
      {
        name: 'name',
        required: true,
        description: 'A name for people; unique among keys that count.',
      },
    ],
    options: [
      {
        flags: '--models <globs>',
        description: 'Models it may call, separated by commas (default: whatever policy allows).',
      },
      {
        flags: '--expires <when>',
        description: 'A time to live such as 12h or 30d, or an RFC 3339 time.',
      },
      {
        flags: '--bind <selectors>',
        description: 'Network principals that may carry it, separated by commas.',
      },
      {
        flags: '--admin',
        description: 'It may use the admin API, where the configuration allows that.',
      },
    ],
    examples: ['postern key create ci --models "instant,local/**" --expires 30d'],
    load: () => import('./key-create.ts'),
  },
  {
    path: 'key list',
    summary: 'List keys: name, scope, age, state. Never their secrets.',
    options: [{ flags: '--all', description: 'Revoked and expired ones too.' }],
    examples: ['postern key list', 'postern key list --all --json'],
    load: () => import('./key-list.ts'),
  },
  {
    path: 'key revoke',
    summary: 'Revoke a key at once.',
    args: [{ name: 'key', required: true, description: 'Name or id.' }],
    options: [
      reasonOption,
      { flags: '--with-children', description: 'Also every key that it made.' },
    ],
    examples: ['postern key revoke ci --reason "left the team"'],
    load: () => import('./key-revoke.ts'),
  },
  {
    path: 'config check',
    summary: 'Check the configuration file without applying it.',
    options: [
      { flags: '--explain', description: 'Print every value that counts and who says so.' },
    ],
    examples: ['postern config check', 'postern config check --explain --config ./postern.hujson'],
    load: () => import('./config-check.ts'),
  },
  {
    path: 'config schema',
    summary: 'Print the JSON Schema of the configuration file.',
    examples: ['postern config schema > postern.schema.json'],
    load: () => import('./config-schema.ts'),
  },
  {
    path: 'config reload',
    summary: 'Make the running Postern read its configuration file again.',
    examples: ['postern config reload'],
    load: () => import('./config-reload.ts'),
  },
  {
    path: 'backup',
    summary: 'Copy the state to one file while Postern runs, and verify the copy.',
    args: [{ name: 'file', required: true, description: 'Where to; must not exist.' }],
    examples: ['postern backup /var/backups/postern.db'],
    load: () => import('./backup.ts'),
  },
  {
    path: 'restore',
    summary: 'Put a backup into an empty state folder.',
    args: [{ name: 'file', required: true, description: 'The backup.' }],
    options: [{ flags: '--verify-only', description: 'Check the file and restore nothing.' }],
    examples: ['postern restore /var/backups/postern.db --state /var/lib/postern'],
    load: () => import('./restore.ts'),
  },
];

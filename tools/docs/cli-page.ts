import type { CommandSpec } from '../../packages/postern/src/command.ts';
import { exitCodes } from '../../packages/postern/src/command.ts';
import { commands } from '../../packages/postern/src/commands/index.ts';
import { fenced, generated, table } from './markdown.ts';

const exitWords: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'It worked, or the answer is yes.',
  failed: 'The answer is no, or the operation failed; stderr says why.',
  usage: 'The command line itself is wrong.',
  unreachable: 'No running Postern could be reached on the control socket.',
  config: 'The configuration file is invalid.',
  unproven: 'It could not be looked at, or its proof could not be had.',
};

const variables: readonly (readonly [name: string, meaning: string])[] = [
  ['POSTERN_STATE', 'State folder, as `--state`.'],
  ['POSTERN_CONFIG', 'Configuration file, as `--config`.'],
  [
    'POSTERN_GATEWAY_ADDR',
    'Address of the gateway: `PORT`, `:PORT`, `HOST:PORT` or `[V6]:PORT`. Before `PORT`.',
  ],
  ['PORT', 'The same, as hosting platforms set it.'],
  ['POSTERN_URL', 'Where machines find the network that Postern coordinates, as `--url`.'],
  [
    'POSTERN_JOIN',
    'How this process is on that network: `existing`, `start` (as `--join`) or `off`.',
  ],
  ['TS_SOCKET', 'The socket of the local tailscaled, where it is not in its usual place.'],
  ['POSTERN_ADMIN_ADDR', 'Address of the admin listener (only with a configuration file).'],
  [
    'PROVIDER_BASE_URL, PROVIDER_API_KEY',
    'Zero-config only: an OpenAI-compatible server, as provider `upstream`.',
  ],
  ['OPENAI_API_KEY', 'Zero-config only: provider `openai`.'],
  ['ANTHROPIC_API_KEY', 'Zero-config only: provider `anthropic`.'],
  [
    'STATE_DIRECTORY, CREDENTIALS_DIRECTORY',
    'What systemd sets: the state folder and where `{"credential": …}` is read.',
  ],
  ['XDG_STATE_HOME', 'The state folder is `postern` below it; without it, below `~/.local/state`.'],
];

/** The page of the command line, made from the command values that also make the parser and its help. */
export function cliPage(): string {
  return [
    '# Command line',
    '',
    generated,
    'The answer goes to stdout, everything else to stderr. Commands talk to the running Postern over its control socket,',
    '`<state>/run/control.sock`, which only the user that runs it can open.',
    '',
    'In a checkout, write `npm run -s postern -- COMMAND` for `postern COMMAND`.',
    '',
    ...table(
      ['command', 'what it does'],
      commands.map(({ path, summary }) => [
        `[\`${path}\`](#postern-${path.replaceAll(' ', '-')})`,
        summary,
      ]),
    ),
    '',
    '## Global options',
    '',
    ...table(
      ['option', 'meaning'],
      [
        ['`--json`', 'One JSON value on stdout instead of a table. Fields are only ever added.'],
        [
          '`--state <folder>`',
          'State folder; default `$POSTERN_STATE`, else the XDG state folder.',
        ],
        [
          '`--config <file>`',
          'Configuration file; default `<state>/postern.hujson`, else `/etc/postern/postern.hujson`.',
        ],
        ['`--version`, `--help`', 'After a command, `--help` is about that command.'],
      ],
    ),
    '',
    '## Exit codes',
    '',
    ...table(
      ['code', 'name', 'meaning'],
      // The names are the keys of the same object.
      Object.entries(exitWords).map(([name, words]) => [
        String(exitCodes[name as keyof typeof exitCodes]),
        name,
        words,
      ]),
    ),
    '',
    '## Environment',
    '',
    'Variables and flags are not a configuration file: with these alone Postern stays in zero-config.',
    '',
    ...table(
      ['variable', 'meaning'],
      variables.map(([name, meaning]) => [
        name
          .split(', ')
          .map((each) => `\`${each}\``)
          .join(', '),
        meaning,
      ]),
    ),
    '',
    ...commands.flatMap(section),
  ].join('\n');
}

function section(command: CommandSpec): readonly string[] {
  const args = (command.args ?? []).map(({ name, required, description }) => [
    `\`${required ? `<${name}>` : `[${name}]`}\``,
    description,
  ]);
  const options = (command.options ?? []).map(({ flags, description }) => [
    `\`${flags}\``,
    description,
  ]);
  const rows = [...args, ...options];
  return [
    `## postern ${command.path}`,
    '',
    command.summary,
    '',
    ...(rows.length === 0 ? [] : [...table(['argument or option', 'meaning'], rows), '']),
    ...fenced('sh', command.examples.join('\n')),
    '',
  ];
}

import { Command, CommanderError } from 'commander';
import type { CommandSpec, ExitCode } from './command.ts';
import { exitCodes } from './command.ts';
import { commands } from './commands/index.ts';
import type { IoFlags, Terminal } from './output/io.ts';
import { createIo } from './output/io.ts';
import { legible } from './output/printable.ts';
import { version } from './version.ts';

/** Runs one command line, as words after the program's name, and gives the exit code. */
export async function runProgram(words: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCodes.ok;
  const program = buildProgram(terminal, (finished) => {
    code = finished;
  });
  try {
    await program.parseAsync([...words], { from: 'user' });
    return code;
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    return cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

/** Builds the parser from the command values. `finish` gets the exit code of whatever ran. */
function buildProgram(terminal: Terminal, finish: (code: ExitCode) => void): Command {
  const program = new Command('postern')
    .description("The private gate to a team's AI.")
    .option('--json', 'print one JSON value instead of a table')
    .option('--state <folder>', 'state folder (default: $POSTERN_STATE, else the XDG state folder)')
    .option(
      '--config <file>',
      'configuration file (default: <state>/postern.hujson, else /etc/postern/postern.hujson)',
    )
    .version(version(), '--version', 'print the version')
    .configureHelp({ showGlobalOptions: true })
    // A word of the command line is repeated in the complaint about it.
    .configureOutput({
      writeOut: terminal.writeOut,
      writeErr: (text) => terminal.writeErr(legible(text)),
    })
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride();
  const nouns = new Map<string, Command>();
  for (const spec of commands) addCommand({ program, nouns, terminal, finish }, spec);
  return program;
}

const nounSummaries: Readonly<Record<string, string>> = {
  key: 'Keys for callers who are not on the network.',
  config: 'The configuration file.',
  budget: 'Budgets: what is left of each, and more for those that ran dry.',
  incident: 'The steps of an incident: each does it and shows that it did.',
  audit: 'The log of who did and asked what, and the proof that nobody changed it.',
  deploy: 'Files for running it elsewhere: units, scripts.',
  mesh: 'The attested mesh: proxies between machines that prove what they run.',
  policy: 'The policy: who may reach what and call which model.',
  node: 'The machines of the network that Postern coordinates.',
  network: 'The private network: where it is, its keys, its names.',
  'network key': 'Pre-auth keys, by which machines join without a person.',
  'network dns': 'What machines of the network are told about names.',
  serve: 'How callers of the network come in.',
  attest: 'Evidence of what a machine runs: verified, judged, simulated.',
};

interface Building {
  readonly program: Command;
  readonly nouns: Map<string, Command>;
  readonly terminal: Terminal;
  readonly finish: (code: ExitCode) => void;
}

function addCommand({ program, nouns, terminal, finish }: Building, spec: CommandSpec): void {
  const words = spec.path.split(' ');
  const name = words.pop() ?? '';
  let parent = program;
  words.forEach((noun, at) => {
    const path = words.slice(0, at + 1).join(' ');
    parent =
      nouns.get(path) ??
      parent
        .command(noun)
        .description(nounSummaries[path] ?? '')
        .exitOverride();
    nouns.set(path, parent);
  });
  const command = parent.command(name).description(spec.summary).exitOverride();
  // `doctor network` stands below `doctor`, which is a command itself.
  nouns.set(spec.path, command);
  for (const { name, required, description } of spec.args ?? []) {
    command.argument(required ? `<${name}>` : `[${name}]`, description);
  }
  for (const { flags, description } of spec.options ?? []) command.option(flags, description);
  command.addHelpText(
    'after',
    `\nExamples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}`,
  );
  command.action(async () => {
    const flags = program.opts<IoFlags>();
    const names = spec.args ?? [];
    const { run } = await spec.load();
    finish(
      await run({
        args: Object.fromEntries(names.map(({ name }, i) => [name, command.args[i]])),
        options: command.opts(),
        io: createIo(terminal, flags),
      }),
    );
  });
}

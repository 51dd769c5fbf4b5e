import process from 'node:process';
import { Command, CommanderError } from 'commander';
import type { CommandSpec, ExitCode } from './command.ts';
import { exitCodes } from './command.ts';
import { commands } from './commands/index.ts';
import { processIo } from './output/io.ts';
import { version } from './version.ts';

/** Builds the parser from the command values. `finish` gets the exit code of whatever ran. */
export function buildProgram(finish: (code: ExitCode) => void): Command {
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
    .showHelpAfterError('(add --help for what there is)')
    .exitOverride();
  const nouns = new Map<string, Command>();
  for (const spec of commands) addCommand(program, nouns, spec, finish);
  return program;
}

const nounSummaries: Readonly<Record<string, string>> = {
  key: 'Keys for callers who are not on the network.',
  config: 'The configuration file.',
};

function addCommand(
  program: Command,
  nouns: Map<string, Command>,
  spec: CommandSpec,
  finish: (code: ExitCode) => void,
): void {
  const [noun = '', verb] = spec.path.split(' ');
  let parent = program;
  if (verb !== undefined) {
    parent =
      nouns.get(noun) ??
      program
        .command(noun)
        .description(nounSummaries[noun] ?? '')
        .exitOverride();
    nouns.set(noun, parent);
  }
  const command = parent
    .command(verb ?? noun)
    .description(spec.summary)
    .exitOverride();
  for (const { name, required, description } of spec.args ?? []) {
    command.argument(required ? `<${name}>` : `[${name}]`, description);
  }
  for (const { flags, description } of spec.options ?? []) command.option(flags, description);
  command.addHelpText(
    'after',
    `\nExamples:\n${spec.examples.map((example) => `  ${example}`).join('\n')}`,
  );
  command.action(async () => {
    const globals = program.opts<{ json?: boolean; state?: string; config?: string }>();
    const names = spec.args ?? [];
    const { run } = await spec.load();
    finish(
      await run({
        args: Object.fromEntries(names.map(({ name }, i) => [name, command.args[i]])),
        options: command.opts(),
        io: processIo({ ...globals, json: globals.json ?? false }),
      }),
    );
  });
}

async function main(argv: readonly string[]): Promise<void> {
  const program = buildProgram((code) => {
    process.exitCode = code;
  });
  try {
    await program.parseAsync([...argv]);
  } catch (cause) {
    if (!(cause instanceof CommanderError)) throw cause;
    process.exitCode = cause.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
}

await main(process.argv);

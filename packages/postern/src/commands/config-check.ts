import type { Config } from '@postern/core/contract';
import { parseConfig } from '@postern/core/contract';
import type { LoadedConfig, Settings } from '@postern/server/app';
import {
  describeProblem,
  explainConfig,
  loadConfigFile,
  parseAddress,
  resolveSettings,
} from '@postern/server/app';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { table } from '../output/table.ts';

export const run: Run = async ({ options, io }) => {
  const settings = resolveSettings(io.flags, io.env);
  const problems = addressProblems(settings);
  const file = settings.configFile;
  const loaded = file === undefined ? undefined : await loadConfigFile(file);
  if (loaded !== undefined && !loaded.ok) problems.push(...loaded.error.map(describeProblem));
  if (problems.length > 0) return refuse(io, problems);
  const good = loaded?.ok === true ? loaded.value : undefined;
  const config = good?.config ?? defaults();
  if (options['explain'] === true) explain(io, { config, loaded: good, settings });
  else if (io.json) io.outJson({ valid: true, file: file ?? null, problems: [] });
  else
    io.out(
      file === undefined
        ? 'There is no configuration file; the defaults are valid.'
        : `${file} is valid.`,
    );
  return exitCodes.ok;
};

function refuse(io: Io, problems: readonly string[]) {
  if (io.json) io.outJson({ valid: false, problems });
  else io.err(problems.join('\n'));
  return exitCodes.config;
}

function addressProblems(settings: Settings): string[] {
  return Object.values(settings.addresses).flatMap(({ text, from }) => {
    const parsed = parseAddress(text);
    return parsed.ok ? [] : [`${from}: ${parsed.error}`];
  });
}

function defaults(): Config {
  const parsed = parseConfig({});
  if ('issues' in parsed) throw new Error('the empty configuration is valid');
  return parsed.config;
}

function explain(
  io: Io,
  given: { config: Config; loaded: LoadedConfig | undefined; settings: Settings },
): void {
  const rows = explainConfig(given.config, given.loaded, given.settings);
  if (io.json) io.outJson(rows);
  else
    io.out(
      table(
        ['name', 'value', 'from'],
        rows.map(({ name, value, from }) => [name, JSON.stringify(value), from]),
      ),
    );
}

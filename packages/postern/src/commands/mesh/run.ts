import process from 'node:process';
import { runMesh } from '@postern/server/app/mesh';
import { resolveSettings } from '@postern/server/app/settings';
import { createLogger } from '@postern/server/observe';
import type { Run } from '../../command.ts';
import { exitCodes } from '../../command.ts';
import { createLineWriter } from '../../output/line-writer.ts';
import { version } from '../../version.ts';

export const run: Run = async ({ options, io }) => {
  const asked = options['log'] ?? (io.isTerminal ? 'plain' : 'json');
  if (asked !== 'json' && asked !== 'plain') {
    io.err('--log takes json or plain.');
    return exitCodes.usage;
  }
  const write = createLineWriter(asked === 'json' ? process.stdout : process.stderr);
  const logger = createLogger({ level: 'info', format: asked, write });
  const { toml } = options;
  const started = await runMesh({
    settings: resolveSettings(io.flags, io.env),
    logger,
    nowMs: () => Date.now(),
    version: version(),
    tomlFile: typeof toml === 'string' ? toml : undefined,
  });
  if (!started.ok) {
    io.err(`The mesh did not start.\n${started.error}`);
    return exitCodes.config;
  }
  process.on('SIGHUP', () => void started.value.reload());
  const signal = new Promise<void>((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
  // Whoever reads that they listen may send a signal at once.
  for (const { kind, address } of started.value.listeners) io.err(`${kind} ${address}`);
  await signal;
  await started.value.stop();
  return exitCodes.ok;
};

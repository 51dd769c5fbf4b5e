import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { resolveSettings } from '@postern/server/app/settings';
import type { Running } from '@postern/server/app/start';
import { returnMemoryWhenQuiet, returnStartMemory, start } from '@postern/server/app/start';
import type { ServiceManager } from '@postern/server/app/service';
import { serviceManager } from '@postern/server/app/service';
import type { LogFormat } from '@postern/server/observe';
import { createLogger } from '@postern/server/observe';
import type { ExitCode, Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { banner } from '../output/banner.ts';
import { createLineWriter } from '../output/line-writer.ts';
import { version } from '../version.ts';

export const run: Run = async ({ options, io }) => {
  const settings = resolveSettings(
    {
      ...io.flags,
      ...(typeof options['port'] === 'string' ? { port: options['port'] } : {}),
      ...(typeof options['url'] === 'string' ? { url: options['url'] } : {}),
      ...(options['join'] === true ? { join: true } : {}),
    },
    io.env,
  );
  const format = logFormat(options['log'], io);
  const level = options['logLevel'] ?? 'info';
  if (
    format === undefined ||
    typeof level !== 'string' ||
    !['error', 'warn', 'info', 'debug'].includes(level)
  ) {
    io.err('--log takes json or plain; --log-level takes error, warn, info or debug.');
    return exitCodes.usage;
  }
  // A terminal gets everything on stderr; a collector reads JSON lines from stdout.
  const write = createLineWriter(format === 'json' ? process.stdout : process.stderr);
  const logger = createLogger({ level, format, write });
  // Before the first collection of the start, which would set the engine's own habit going.
  returnMemoryWhenQuiet();
  const started = await start({ settings, logger, version: version() });
  if (!started.ok) {
    io.err(`Postern did not start.\n${started.error.message}`);
    return started.error.kind === 'config' ? exitCodes.config : exitCodes.failed;
  }
  setFlagsFromString('--semi-space-growth-factor=2');
  returnStartMemory();
  const manager = serviceManager(io.env, logger);
  // Whoever reads that it is up may send a signal at once.
  const ended = serve(started.value, io, manager);
  io.err(banner(started.value));
  manager?.ready(`${started.value.listeners.length} listeners open`);
  return ended;
};

function logFormat(asked: string | boolean | undefined, io: Io): LogFormat | undefined {
  if (asked === undefined) return io.isTerminal ? 'plain' : 'json';
  return asked === 'json' || asked === 'plain' ? asked : undefined;
}

/** Runs until a signal says otherwise: the first one drains, a second one cuts. */
function serve(running: Running, io: Io, manager: ServiceManager | undefined): Promise<ExitCode> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (name: NodeJS.Signals): void => {
      signals += 1;
      if (signals === 1) manager?.stopping('finishing open answers');
      io.err(
        signals === 1
          ? `\n${name}: finishing open answers; once more ends at once.`
          : `\n${name}: ending now.`,
      );
      running.stop().then(
        () => resolve(exitCodes.ok),
        (cause: unknown) => {
          io.err(`The stop failed: ${String(cause)}`);
          resolve(exitCodes.failed);
        },
      );
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    process.on('SIGHUP', () => {
      manager?.reloading();
      void running.reload().then((result) => {
        manager?.ready(result.ok ? result.value : `reload refused: ${result.error.join('; ')}`);
      });
    });
  });
}

import { createHash } from 'node:crypto';
import process from 'node:process';
import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { Control, Requester } from '../control/index.ts';
import { applyConfig } from '../control/index.ts';
import type { Logger } from '../observe/index.ts';
import type { LoadedConfig } from './config-file.ts';
import type { Deployment } from './deployment.ts';
import { listModels } from './listing.ts';
import { watchFile } from './watch.ts';

export interface ReloaderOptions {
  /** Undefined in zero-config: there is nothing to read again. */
  readonly file: string | undefined;
  readonly control: Control;
  readonly logger: Logger;
  readonly deploy: (config: Config) => Promise<Result<Deployment, string>>;
  readonly current: () => Deployment;
  readonly swap: (next: Deployment) => void;
  /** After the swap: what has to be opened or closed. Says what of it does not count yet. */
  readonly settle: (next: Deployment) => Promise<readonly string[]>;
}

export type ReloadCause = 'signal' | 'change' | 'admin';

export interface Reloader {
  /** Reads the file again. All of it counts or nothing: an invalid file leaves the running configuration in place. */
  reload(cause: ReloadCause): Promise<Result<string, readonly string[]>>;
  /** Puts the configuration of the start into the journal. */
  recordFirst(loaded: LoadedConfig): Promise<void>;
  /** This process begins to lead: what is in force here is what the journal names. */
  lead(): Promise<void>;
  close(): void;
}

const byProcess: Requester = {
  actor: { principal: `local:uid:${process.geteuid?.() ?? 'unknown'}`, channel: 'system' },
};

/** How long a changed configuration waits for the lists of its providers before it takes over. */
const firstListMsMax = 2_000;

export function createReloader(options: ReloaderOptions): Reloader {
  const { file, logger } = options;
  let last = '';
  let current: LoadedConfig | undefined;
  let queue: Promise<unknown> = Promise.resolve();

  async function reload(cause: ReloadCause): Promise<Result<string, readonly string[]>> {
    if (file === undefined) return refuseReload(['There is no configuration file to read.']);
    const { describeProblem, loadConfigFile } = await import('./config-file.ts');
    const loaded = await loadConfigFile(file);
    if (!loaded.ok) return refuseReload(loaded.error.map(describeProblem));
    const digest = digestOf(loaded.value.text);
    if (cause === 'change' && digest === last) return ok('unchanged');
    const next = await options.deploy(loaded.value.config);
    if (!next.ok) return refuseReload([next.error]);
    await listModels(next.value.catalog, firstListMsMax, logger);
    const recorded = await record(loaded.value);
    if (!recorded.ok) return refuseReload([recorded.error]);
    const needsRestart = listenersChanged(options.current().config, loaded.value.config);
    options.swap(next.value);
    last = digest;
    current = loaded.value;
    const pending = [
      ...(needsRestart ? ['changed listeners need a restart'] : []),
      ...(await options.settle(next.value)),
    ];
    const message = ['in force', ...pending].join('; ');
    logger.info(
      { file, generation: recorded.value, cause, needs_restart: needsRestart, pending },
      'configuration in force',
    );
    return ok(message);
  }

  function refuseReload(problems: readonly string[]): Result<never, readonly string[]> {
    logger.error({ file, problems }, 'configuration refused; the old one stays in force');
    return err(problems);
  }

  async function record(loaded: LoadedConfig): Promise<Result<number, string>> {
    // Each gateway has a file of its own; the journal names that of the leader.
    const { control } = options;
    if (control.role().kind === 'follower')
      return ok(control.snapshot().generations[0]?.number ?? 0);
    const applied = await applyConfig(
      options.control,
      () => [],
      { text: loaded.text, note: loaded.file },
      byProcess,
    );
    return applied.ok ? ok(applied.value.number) : err(applied.error.message);
  }

  /** One reload at a time, in the order in which they were asked for. */
  function inTurn(cause: ReloadCause): Promise<Result<string, readonly string[]>> {
    const result = queue
      .then(() => reload(cause))
      .catch((fault: unknown) => {
        logger.error({ err: fault, file }, 'fault');
        return err(['The reload met a defect; the old configuration stays in force.']);
      });
    queue = result;
    return result;
  }

  const watcher =
    file === undefined
      ? undefined
      : watchFile(
          file,
          () => {
            void inTurn('change');
          },
          (message) =>
            logger.warn(
              { file, message },
              'the configuration file is not watched; send SIGHUP after changes',
            ),
        );

  return {
    reload: inTurn,
    async recordFirst(loaded) {
      last = digestOf(loaded.text);
      current = loaded;
      const recorded = await record(loaded);
      if (!recorded.ok)
        logger.error({ file, problem: recorded.error }, 'the configuration was not recorded');
    },
    lead: async () => {
      const recorded = current === undefined ? ok(0) : await record(current);
      if (!recorded.ok)
        logger.error({ file, problem: recorded.error }, 'the configuration was not recorded');
    },
    close: () => watcher?.close(),
  };
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What is fixed when a listener opens: addresses, names and proxies. */
function listenersChanged(before: Config, after: Config): boolean {
  const fixed = (config: Config): string =>
    JSON.stringify([
      config.listeners,
      config.publicEdge,
      config.trustedProxies,
      config.limits.connections,
      config.limits.connectionsPerSource,
      config.store,
    ]);
  return fixed(before) !== fixed(after);
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { openSqliteStore } from '../adapters/store-sqlite/index.ts';
import { createNodeSystem } from '../adapters/system-node/index.ts';
import { createControl } from '../control/index.ts';
import type { LoadedConfig } from './config-file.ts';
import { createLazyEgress } from './egress.ts';
import type { Running, StartOptions, StartProblem } from './planes.ts';
import { startPlanes } from './planes.ts';
import type { Settings } from './settings.ts';

export { returnStartMemory } from '../adapters/system-node/index.ts';

export type { Running, StartOptions, StartProblem } from './planes.ts';

/** Starts everything that this configuration asks for, or says why not. */
export async function start(options: StartOptions): Promise<Result<Running, StartProblem>> {
  const { settings, logger } = options;
  const loaded = await loadConfig(settings);
  if (!loaded.ok) return loaded;
  const store = await openSqliteStore(settings.stateDir);
  if (!store.ok) return failed(store.error.message);
  const control = await createControl({
    store: store.value,
    system: createNodeSystem(),
    record: (line) => logger.info({ ...line, actor: line.actor }, 'control'),
    onFault: (fault) => logger.error({ err: fault }, 'a listener of the state threw'),
  });
  if (!control.ok) {
    await store.value.close();
    return failed(control.error.message);
  }
  const egress = createLazyEgress();
  const file = loaded.value;
  const started = await startPlanes({ options, file, control: control.value, egress });
  if (!started.ok) {
    await egress.close();
    await control.value.close();
  }
  return started;
}

async function loadConfig(
  settings: Settings,
): Promise<Result<LoadedConfig | undefined, StartProblem>> {
  if (settings.configFile === undefined) return ok(undefined);
  // The schemas are loaded only where there is a file to hold against them.
  const { describeProblem, loadConfigFile } = await import('./config-file.ts');
  const loaded = await loadConfigFile(settings.configFile);
  if (loaded.ok) return loaded;
  return err({ kind: 'config', message: loaded.error.map(describeProblem).join('\n') });
}

function failed(message: string): Result<never, StartProblem> {
  return err({ kind: 'failed', message });
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { createNodeSystem } from '../adapters/system-node/index.ts';
import { createControl } from '../control/index.ts';
import { openAuditTrail } from './audit.ts';
import type { LoadedConfig } from './config-file.ts';
import { createLazyEgress } from './egress.ts';
import { createClock } from './host-facts.ts';
import { createMoneyPlane } from './money.ts';
import type { StartOptions, StartProblem } from './foundation.ts';
import type { Running } from './planes.ts';
import { startPlanes } from './planes.ts';
import type { Settings } from './settings.ts';
import { openStores } from './stores.ts';

export { returnMemoryWhenQuiet, returnStartMemory } from '../adapters/system-node/index.ts';

export type { StartOptions, StartProblem } from './foundation.ts';
export type { Running } from './planes.ts';

/** Starts everything that this configuration asks for, or says why not. */
export async function start(options: StartOptions): Promise<Result<Running, StartProblem>> {
  const { settings, logger } = options;
  const loaded = await loadConfig(settings);
  if (!loaded.ok) return loaded;
  const system = createNodeSystem();
  const shared = await openStores({
    stateDir: settings.stateDir,
    config: loaded.value?.config.store,
    env: settings.env,
    nowMs: system.nowMs,
    newId: system.newId,
    logger,
  });
  if (!shared.ok) return failed(shared.error.message);
  const stores = shared.value;
  const { sha256Hex } = system;
  const { stateDir } = settings;
  // The lock of the state folder is held from here on: this process is the only writer of its log.
  const opened = await openAuditTrail({
    stateDir,
    logger,
    clock: createClock(system.nowMs),
    sha256Hex,
  });
  if (!opened.ok) {
    await stores.store.close();
    return failed(opened.error);
  }
  const audit = opened.value;
  const control = await createControl({
    store: stores.store,
    system,
    role: () => stores.role(),
    record: (line) => {
      logger.info({ ...line, actor: line.actor }, 'control');
      audit.control(line);
    },
    onFault: (fault) => logger.error({ err: fault }, 'a listener of the state threw'),
  });
  if (!control.ok) {
    await stores.store.close();
    await audit.close();
    return failed(control.error.message);
  }
  audit.follow(() => {
    const { index, headHash: hash } = control.value.snapshot();
    return index === 0 ? undefined : { index, hash };
  });
  const egress = createLazyEgress();
  const file = loaded.value;
  const money = createMoneyPlane({
    bank: stores.bank,
    ...(stores.limits === undefined ? {} : { limits: stores.limits }),
    staleAfterMs: stores.staleAfterMs,
    clock: createClock(system.nowMs),
    newId: system.newId,
    logger,
    audit,
  });
  const foundation = { options, file, control: control.value, egress, audit, money, stores };
  const started = await startPlanes(foundation);
  if (!started.ok) {
    await money.close();
    await egress.close();
    await control.value.close();
    await audit.close();
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

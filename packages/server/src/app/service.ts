import process from 'node:process';
import type { ServiceManager } from '../adapters/service-systemd/index.ts';
import { createServiceManager, systemdNotify } from '../adapters/service-systemd/index.ts';
import type { Logger } from '../observe/index.ts';

export type { ServiceManager } from '../adapters/service-systemd/index.ts';

/** The service manager that started this process, if one did. A loop that stands still gives no signs of life. */
export function serviceManager(
  env: Readonly<Record<string, string | undefined>>,
  logger: Logger,
): ServiceManager | undefined {
  return createServiceManager({
    env,
    pid: process.pid,
    isAlive: () => true,
    tell: systemdNotify((message) => logger.warn({ msg: message })),
    every: (ms, callback) => {
      const timer = setInterval(callback, ms);
      timer.unref();
      return { clear: () => clearInterval(timer) };
    },
    monotonicUs: () => process.hrtime.bigint() / 1_000n,
  });
}

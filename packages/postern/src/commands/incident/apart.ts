import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import { createLazyEgress, resolveSettings, start } from '@postern/server/app';
import { createLogger } from '@postern/server/observe';
import { version } from '../../version.ts';

/** A gateway on loopback and on ports that nobody knows. */
export interface ApartGateway {
  /** `http://127.0.0.1:PORT`. */
  readonly url: string;
  isReady(): Promise<boolean>;
  stop(): Promise<void>;
}

/** Starts a gateway in this process on a state folder, apart from every network. */
export async function apart(
  stateDir: string,
  options: { readonly config?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<Result<ApartGateway, string>> {
  const env = { PORT: '0', POSTERN_ADMIN_ADDR: '127.0.0.1:0', ...options.env };
  const flags = {
    state: stateDir,
    ...(options.config === undefined ? {} : { config: options.config }),
  };
  const logger = createLogger({ level: 'error', format: 'json', write: () => undefined });
  const started = await start({
    settings: {
      ...resolveSettings(flags, env),
      ...(options.config === undefined ? { configFile: undefined } : {}),
    },
    logger,
    version: version(),
  });
  if (!started.ok) return err(started.error.message);
  const running = started.value;
  const port = running.listeners.find(
    ({ kind, address }) => kind === 'gateway' && address.startsWith('127.'),
  )?.port;
  const url = `http://127.0.0.1:${port ?? 0}`;
  const way = createLazyEgress();
  const timeouts = { connectMs: 2_000, firstByteMs: 5_000, idleMs: 5_000, totalMs: 10_000 };
  return ok({
    url,
    isReady: async () => {
      const answered = await way.egress({
        method: 'GET',
        url: new URL('/readyz', url),
        headers: {},
        signal: AbortSignal.timeout(timeouts.totalMs),
        timeouts,
        permission: { internal: true },
      });
      if (!answered.ok) return false;
      answered.value.cancel();
      return answered.value.status === 200;
    },
    stop: async () => {
      await way.close();
      const done = running.stop();
      // Nobody waits for answers of a gateway that nobody knows.
      void running.stop();
      await done;
    },
  });
}

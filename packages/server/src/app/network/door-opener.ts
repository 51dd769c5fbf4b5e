import { ok } from '@postern/core/base';
import type { Listener } from '../../http/index.ts';
import type { ListenOptions } from '../listen.ts';
import { openDoor, socketPath } from '../listen.ts';
import type { DoorOpener } from './gateway-doors.ts';

/** Opens listeners while the process runs; `live` holds all that there are, for status and for the end. */
export function doorOpener(
  options: ListenOptions,
  live: { listeners: readonly Listener[] },
): DoorOpener {
  return {
    tailnet: async (host, port, hosts) => {
      const opened = await openDoor({ kind: 'tailnet', host, port }, hosts, options);
      if (opened.ok) live.listeners = [...live.listeners, opened.value];
      return opened;
    },
    serve: async (hosts) => {
      const path = socketPath(options.settings.stateDir, 'serve');
      if (options.config.listeners.serve.enabled) return ok({ path, own: undefined });
      const opened = await openDoor('serve', hosts, options);
      if (!opened.ok) return opened;
      live.listeners = [...live.listeners, opened.value];
      return ok({ path, own: opened.value });
    },
    closed: (listener) => {
      live.listeners = live.listeners.filter((each) => each !== listener);
    },
  };
}

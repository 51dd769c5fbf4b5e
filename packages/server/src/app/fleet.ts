import type { Fleet, FleetEvent, GatewayClock } from '../gateway/index.ts';
import { createFleet } from '../gateway/index.ts';
import type { Logger } from '../observe/index.ts';
import type { Deployment } from './deployment.ts';

/** What this process knows of the places where models run; what changes there is one line each. */
export function fleetOf(clock: GatewayClock, logger: Logger): Fleet {
  // Only weights and waits are drawn: nothing that anybody could gain by guessing.
  return createFleet({ clock, random: Math.random, onEvent: (event) => logEvent(logger, event) });
}

/** From now on the places of this configuration are looked after. */
export function watchFleet(deployment: Deployment): void {
  const { fleet, providers } = deployment.view();
  fleet.watch([...providers.values()]);
}

function logEvent(logger: Logger, event: FleetEvent): void {
  const place = {
    provider: event.provider,
    ...(event.endpoint === '' ? {} : { endpoint: event.endpoint }),
  };
  switch (event.kind) {
    case 'breaker':
      logger[event.to === 'open' ? 'warn' : 'info'](
        { ...place, model: event.model, from: event.from, to: event.to },
        'breaker',
      );
      return;
    case 'health':
      logger[event.isHealthy ? 'info' : 'warn']({ ...place, healthy: event.isHealthy }, 'health');
      return;
    case 'wake':
      logger[event.problem === undefined ? 'info' : 'warn'](
        {
          ...place,
          state: event.state,
          ...(event.problem === undefined ? {} : { problem: event.problem }),
        },
        'wake',
      );
      return;
    case 'queue':
    case 'retry':
      // Counted; a line for each would be as many lines as requests.
      return;
  }
}

import type { Control } from '../../control/index.ts';
import type { Listener, ListenerKind } from '../../http/index.ts';
import type { Logger } from '../../observe/index.ts';
import { isExposed } from '../../ops/check/places.ts';
import type { ListenOptions, Plan } from '../listen.ts';
import { openPlans } from '../listen.ts';

/** What is never shut: the way of the operator, and what machines need to stay on the network. */
const keptKinds: ReadonlySet<ListenerKind> = new Set(['control-socket', 'serve', 'coordination']);

export function isShutBy(plan: Plan): boolean {
  return !keptKinds.has(plan.kind) && plan.bind.kind !== 'unix' && isExposed(plan.bind.host);
}

export interface IsolationOptions {
  readonly control: Control;
  readonly listening: ListenOptions;
  /** All listeners that there are, for status and for the end. */
  readonly live: { listeners: readonly Listener[] };
  readonly logger: Logger;
  readonly ending: AbortSignal;
}

/**
 * Shuts what is reached from beyond the private network while the state says that this gateway is isolated, and opens
 * it again after. Callers on this machine keep a door: where no listener of a kind is left, one opens on loopback.
 */
export function followIsolation(options: IsolationOptions): void {
  let turn = Promise.resolve();
  let isIsolated = false;
  let substitutes: readonly Listener[] = [];
  const { control, live, listening, logger } = options;
  const shut = async (): Promise<void> => {
    const exposed = live.listeners.filter(isExposedListener);
    live.listeners = live.listeners.filter((each) => !exposed.includes(each));
    await Promise.all(exposed.map((listener) => listener.close(0)));
    for (const { address } of exposed) logger.warn({ address }, 'isolated: the listener is shut');
    const hasGateway = live.listeners.some(({ kind }) => kind === 'gateway');
    if (hasGateway) return;
    const port = exposed.find(({ kind }) => kind === 'gateway')?.port;
    const opened = await openPlans(listening, (plan) => plan.kind === 'gateway', {
      host: '127.0.0.1',
      port,
    });
    if (!opened.ok) return logger.error({ problem: opened.error.message }, 'isolated');
    substitutes = opened.value.listeners;
    live.listeners = [...live.listeners, ...substitutes];
  };
  const reopen = async (): Promise<void> => {
    live.listeners = live.listeners.filter((each) => !substitutes.includes(each));
    await Promise.all(substitutes.map((listener) => listener.close(0)));
    substitutes = [];
    const opened = await openPlans(listening, isShutBy);
    if (!opened.ok) return logger.error({ problem: opened.error.message }, 'not open again');
    live.listeners = [...live.listeners, ...opened.value.listeners];
    for (const { address } of opened.value.listeners) logger.info({ address }, 'open again');
  };
  control.subscribe(({ containment }) => {
    const wanted = containment.isolation !== undefined;
    if (wanted === isIsolated) return;
    isIsolated = wanted;
    turn = turn
      .then(wanted ? shut : reopen)
      .catch((fault: unknown) => logger.error({ err: fault }, 'fault'));
  }, options.ending);
}

function isExposedListener({ kind, address }: Listener): boolean {
  const host = /^(?:\[([^\]]+)\]|([^:/]+)):\d+$/.exec(address);
  const name = host?.[1] ?? host?.[2];
  return name !== undefined && !keptKinds.has(kind) && isExposed(name);
}

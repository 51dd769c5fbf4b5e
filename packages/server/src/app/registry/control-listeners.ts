import type { Listener } from '../../http/index.ts';
import type { ListenOptions, Plan } from '../listen.ts';
import { openPlans, planListeners } from '../listen.ts';

/** All listeners that there are, for status and for the end. */
export interface ControlListeners {
  listeners: readonly Listener[];
}

/** Those who watch are cut off after this long; they come back where it listens then. */
const closeMs = 500;

/**
 * Opens the control listener where it was closed, closes it where nothing is behind it any more, and moves it. Where
 * that cannot be, it stays as it was, and the sentence says why.
 */
export async function moveControlListeners(
  before: ListenOptions,
  after: ListenOptions,
  live: ControlListeners,
): Promise<string | undefined> {
  const [was, will] = [await controlPlans(before), await controlPlans(after)];
  if (typeof will === 'string') return will;
  if (JSON.stringify(was) === JSON.stringify(will)) return undefined;
  const old = live.listeners.filter(({ kind }) => kind === 'control');
  live.listeners = live.listeners.filter((each) => !old.includes(each));
  await Promise.all(old.map((listener) => listener.close(closeMs)));
  const opened = await open(after);
  if (opened.ok) {
    live.listeners = [...live.listeners, ...opened.value.listeners];
    return undefined;
  }
  const again = await open(before);
  if (again.ok) live.listeners = [...live.listeners, ...again.value.listeners];
  return `the registry does not listen where it should: ${opened.error.message}`;
}

async function controlPlans(options: ListenOptions): Promise<readonly Plan[] | string> {
  const planned = await planListeners(options);
  return planned.ok ? planned.value.filter(({ kind }) => kind === 'control') : planned.error;
}

function open(options: ListenOptions): ReturnType<typeof openPlans> {
  return openPlans(options, (plan) => plan.kind === 'control' && options.isShut?.(plan) !== true);
}

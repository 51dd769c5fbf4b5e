import type { Instance } from '@postern/core/registry';
import type { Health } from './health.ts';
import { instanceView } from './instance-view.ts';
import type { Registry } from './registry.ts';

/** JSON that is written already, where a value is expected. */
export class WrittenJson {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
}

interface Written {
  /** Everything before and after what changes with every heartbeat. */
  readonly before: string;
  readonly after: string;
  endsAtMs: number;
  health: Health;
  text: string;
}

/** One instance never changes; what is written of it goes with it. */
const written = new WeakMap<Instance, Written>();

/**
 * `instanceView` as JSON. A page has a hundred of them and is asked for all the time: what did not change since is
 * not written again, and of what did only the lease and the health.
 */
export function instanceText(instance: Instance, registry: Registry): string {
  const endsAtMs = registry.leaseEndsAtMs(instance);
  const health = registry.health(instance);
  const last = written.get(instance);
  if (last === undefined) {
    const [before, after] = partsOf(instance, registry);
    const text = textOf({ before, after, endsAtMs, health });
    written.set(instance, { before, after, endsAtMs, health, text });
    return text;
  }
  const isSame =
    last.endsAtMs === endsAtMs &&
    last.health.state === health.state &&
    last.health.why === health.why;
  if (isSame) return last.text;
  last.endsAtMs = endsAtMs;
  last.health = health;
  last.text = textOf(last);
  return last.text;
}

function partsOf(instance: Instance, registry: Registry): readonly [string, string] {
  const view = instanceView(instance, registry);
  const { health: _health, lease_seconds, lease_ends_at: _ends, ...rest } = view;
  const { registered_at, updated_at, ...first } = rest;
  const before = JSON.stringify(first).slice(0, -1);
  const after = JSON.stringify({ lease_seconds, registered_at, updated_at }).slice(1);
  return [before, after];
}

function textOf({ before, after, endsAtMs, health }: Omit<Written, 'text'>): string {
  const { state, why } = health;
  const said = why === undefined ? '' : `,"why":${JSON.stringify(why)}`;
  const ends = new Date(endsAtMs).toISOString();
  return `${before},"health":{"state":"${state}"${said}},"lease_ends_at":"${ends}",${after}`;
}

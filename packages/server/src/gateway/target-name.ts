import type { Target } from '@postern/core/routing';

const known = new WeakMap<Target, string>();

/** `provider/model`: where something ran, as logs, records and the history of use say it. One text for each target. */
export function targetName(target: Target): string {
  let name = known.get(target);
  if (name === undefined) known.set(target, (name = `${target.provider}/${target.model}`));
  return name;
}

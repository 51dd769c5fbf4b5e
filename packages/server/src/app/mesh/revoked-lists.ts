import type { Control } from '../../control/index.ts';
import type { RevokedLists } from '../../mesh/index.ts';

export type Revocations = ReturnType<Control['snapshot']>['revocationsById'];

/** Who is revoked among peers by the journal (`postern mesh revoke`). */
export function revokedLists(revocations: Revocations): RevokedLists {
  const lists = {
    app: [] as string[],
    instance: [] as string[],
    device: [] as string[],
    serial: [] as string[],
  };
  for (const { target } of revocations.values()) {
    if (target.by === 'peer') lists[target.kind].push(target.id);
  }
  const { app, instance, device, serial } = lists;
  return { apps: app, instances: instance, devices: device, serials: serial };
}

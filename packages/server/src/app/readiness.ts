/** What must hold before traffic is sent here: `/readyz`, `postern status` and the metrics say it alike. */
import type { ReadinessCheck } from '../gateway/index.ts';
import { auditCheck } from './audit.ts';
import type { Drain } from './drain.ts';
import type { Foundation } from './foundation.ts';
import { moneyCheck } from './money.ts';

export type Readiness = () => readonly ReadinessCheck[];

export function readinessOf(
  { audit, money, stores }: Pick<Foundation, 'audit' | 'money' | 'stores'>,
  drain: Drain,
): Readiness {
  return () => [
    {
      name: 'draining',
      ok: !drain.isDraining,
      message: drain.isDraining ? 'shutting down' : 'accepting',
    },
    auditCheck(audit),
    moneyCheck(money),
    ...stores.checks(),
  ];
}

/** Why no traffic is welcome now, a line each; none while it is. */
export function unreadyReasons(readiness: Readiness): readonly string[] {
  return readiness()
    .filter(({ ok }) => !ok)
    .map(({ name, message }) => (name === 'draining' ? message : `${name}: ${message}`));
}

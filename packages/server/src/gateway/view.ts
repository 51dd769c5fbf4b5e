import type { Catalog } from '@postern/core/routing';
import type { Fleet } from './fleet/index.ts';
import type { MoneyDesk } from './money/desk.ts';
import type { Money } from './money/purse.ts';
import type { Terms } from './money/terms.ts';
import type { AccessPolicy, Provider } from './ports.ts';

/** Everything of the configuration and state that a request reads. Frozen, replaced whole. */
export interface GatewayView {
  readonly catalog: Catalog;
  readonly providers: ReadonlyMap<string, Provider>;
  readonly access: AccessPolicy;
  readonly limits: GatewayLimits;
  /** What requests cost and how fast they may come; absent where nothing of it counts. */
  readonly money?: GatewayMoney;
  /** What is known of the places where models run; the same for every view. */
  readonly fleet: Fleet;
}

/** Budgets, limits and prices of one configuration, over the ledger and the counts of the process. */
export interface GatewayMoney extends Money {
  readonly terms: Terms;
  readonly desk: MoneyDesk;
}

export interface GatewayLimits {
  readonly bodyBytes: number;
  readonly heartbeatMs: number;
}

import type { Result } from '@postern/core/base';
import { err, ok, onceUnlessItFails } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import type { PriceBook, PriceOverride } from '@postern/core/price';
import { openPriceBook, ratesOfUsd } from '@postern/core/price';
import { createMemoryLimits } from '../adapters/limits-memory/index.ts';
import type { GatewayClock, GatewayMoney } from '../gateway/index.ts';
import type { LimitStore, SliceBank } from '../gateway/money/index.ts';
import { Ledger, MoneyDesk, Tariffs, Terms } from '../gateway/money/index.ts';
import type { Logger } from '../observe/index.ts';
import type { AuditTrail } from './audit.ts';
import { billingSites } from './billing-site.ts';

export interface MoneyOptions {
  readonly bank: SliceBank;
  /** Of several gateways together; absent: this process counts alone. */
  readonly limits?: LimitStore;
  readonly clock: GatewayClock;
  readonly newId: () => string;
  readonly logger: Logger;
  /** The log of this gateway's requests, which shows what processes that are gone have paid. */
  readonly audit?: Pick<AuditTrail, 'ledgerBegan' | 'spentProof'>;
  /** After how long another process that is silent is taken for gone; 0 where the bank has one process at a time. */
  readonly staleAfterMs?: number;
}

/** The money of this process: one ledger and one store of limits, whatever the configuration in force. */
export interface MoneyPlane {
  readonly bank: SliceBank;
  /** What one configuration makes of it. */
  of(
    config: Config,
    surroundings: {
      readonly hasConfigFile: boolean;
      readonly env: Readonly<Record<string, string | undefined>>;
    },
  ): Result<GatewayMoney, string>;
  /** Undefined until something was paid for. */
  ledger(): Ledger | undefined;
  readonly limits: LimitStore;
  close(): Promise<void>;
}

export function createMoneyPlane(options: MoneyOptions): MoneyPlane {
  const { bank, clock, newId, logger } = options;
  const limits = options.limits ?? createMemoryLimits({ nowMs: () => clock.nowMs() });
  const nowMs = (): number => clock.nowMs();
  let made: Ledger | undefined;
  const make = async (): Promise<Ledger> => {
    const process = newId();
    options.audit?.ledgerBegan(process);
    const ledger = new Ledger({
      bank,
      process,
      clock,
      staleAfterMs: options.staleAfterMs ?? 0,
      ...(options.audit === undefined
        ? {}
        : { proofOf: proofFrom(options.audit, options.staleAfterMs ?? 0) }),
      onEvent: (event) => logger[event.kind === 'up' ? 'info' : 'warn'](event, 'ledger'),
    });
    // What it cannot do now because the store is down, it does once the store is back.
    await ledger.begin();
    made = ledger;
    return ledger;
  };
  const ledger = onceUnlessItFails(make);
  return {
    bank,
    limits,
    ledger: () => made,
    of: (config, { hasConfigFile, env }) => {
      const overrides = overridesOf(config);
      if (!overrides.ok) return overrides;
      const terms = new Terms({ budgets: config.budgets, limits: config.limits.named });
      const tariffs = new Tariffs({
        book: bookOf(overrides.value),
        site: billingSites(config, { nowMs, env }),
        hasOverrides: overrides.value.length > 0,
        unknown: hasConfigFile ? 'refuse' : 'highest',
        nowMs: () => clock.nowMs(),
      });
      return ok({
        terms,
        tariffs,
        limits,
        desk: new MoneyDesk({ bank, ledger: () => made, terms: () => terms, newId, nowMs }),
        whenDown: config.limits.whenStoreDown,
        nowMs,
        ledger: () => made ?? ledger(),
      });
    },
    close: async () => {
      await (made ?? (await ledger.begun()))?.close();
      await limits.close();
      await bank.close();
    },
  };
}

/** The log is read once, and only where a process was killed with slices open. */
function proofFrom(
  audit: Pick<AuditTrail, 'spentProof'>,
  staleAfterMs: number,
): NonNullable<ConstructorParameters<typeof Ledger>[0]['proofOf']> {
  const read = onceUnlessItFails(() => audit.spentProof());
  return async ({ account, slice, granted }) => {
    const proof = await read();
    const recorded = proof.of(slice, account);
    // Where others may end a slice that still pays, it begins anew, and the record also has what was counted then.
    const settled =
      recorded === undefined || staleAfterMs === 0 ? recorded : Math.min(recorded, granted);
    // What was reserved when it died is on no record: all that it held may have been used.
    return settled === undefined ? undefined : { usable: granted, settled };
  };
}

function overridesOf(config: Config): Result<readonly PriceOverride[], string> {
  const overrides: PriceOverride[] = [];
  for (const [target, usd] of Object.entries(config.prices)) {
    const rates = ratesOfUsd(usd);
    if (!rates.ok) return err(`prices: ${target}: ${rates.error}`);
    overrides.push({ target, price: { rates: rates.value } });
  }
  return ok(overrides);
}

/** The snapshot is 220 kB of source: loaded with the first target that is not self-hosted. */
function bookOf(overrides: readonly PriceOverride[]): () => Promise<PriceBook> {
  return onceUnlessItFails(async () => {
    const { priceSnapshot } = await import('@postern/core/price/snapshot');
    return openPriceBook(priceSnapshot, overrides);
  });
}

/** For readiness: requests that cost money wait for the store of it. */
export function moneyCheck(money: MoneyPlane): {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
} {
  const failure = money.ledger()?.failure;
  return {
    name: 'money',
    ok: failure === undefined,
    message: failure?.message ?? 'the store of money answers',
  };
}

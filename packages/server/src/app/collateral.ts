import { existsSync } from 'node:fs';
import { explain, vendorAnchors } from '@postern/core/attest';
import type { Egress } from '../http/index.ts';
import type { Logger } from '../observe/index.ts';
import { collateralFolder } from './settings.ts';

export interface CollateralKeeperOptions {
  readonly stateDir: string;
  readonly egress: Egress;
  readonly nowMs: () => number;
  readonly logger: Logger;
  /** How often it looks; tests look oftener. */
  readonly everyMs?: number;
}

/** Collateral lives for weeks and the service decides what is due, so looking is cheap and rare. */
const hourMs = 3_600_000;

/**
 * Renews stored collateral ahead of its end, so that no peer has to wait for it. A Postern that holds none never asks
 * anybody, and loads nothing of this.
 */
export function keepCollateral(options: CollateralKeeperOptions): { close(): void } {
  const folder = collateralFolder(options.stateDir, 'intel');
  const amdFolder = collateralFolder(options.stateDir, 'amd');
  const timer = setInterval(() => {
    if (existsSync(folder)) void refresh(folder, options);
    if (existsSync(amdFolder)) void refreshAmd(amdFolder, options);
  }, options.everyMs ?? hourMs);
  timer.unref();
  return { close: () => clearInterval(timer) };
}

async function refresh(
  folder: string,
  { egress, nowMs, logger }: CollateralKeeperOptions,
): Promise<void> {
  try {
    const { CollateralService, intelOrigin } = await import(
      '../adapters/collateral-intel/index.ts'
    );
    const { nodeCrypto } = await import('../adapters/crypto-node/index.ts');
    const service = new CollateralService({
      folder,
      crypto: nodeCrypto,
      pins: vendorAnchors.intel,
      nowMs,
      remote: { origin: intelOrigin, egress },
    });
    for (const finding of await service.refreshDue()) {
      logger.warn({ code: finding.code, problem: explain(finding) }, 'collateral was not renewed');
    }
  } catch (cause) {
    logger.warn({ err: cause }, 'the collateral folder cannot be read');
  }
}

async function refreshAmd(
  folder: string,
  { egress, nowMs, logger }: CollateralKeeperOptions,
): Promise<void> {
  try {
    const { AmdCollateralService } = await import('../adapters/collateral-amd/index.ts');
    const { nodeCrypto } = await import('../adapters/crypto-node/index.ts');
    const pins = vendorAnchors.amd;
    const service = new AmdCollateralService({ folder, crypto: nodeCrypto, pins, nowMs, egress });
    for (const finding of await service.refreshDue()) {
      logger.warn({ code: finding.code, problem: explain(finding) }, 'AMD list was not renewed');
    }
  } catch (cause) {
    logger.warn({ err: cause }, 'the folder of AMD certificates cannot be read');
  }
}

import type { Control } from '../control/index.ts';
import type { Logger } from '../observe/index.ts';
import type { AuditTrail } from './audit.ts';
import type { LoadedConfig } from './config-file.ts';
import type { LazyEgress } from './egress.ts';
import type { MoneyPlane } from './money.ts';
import type { Settings } from './settings.ts';
import type { Stores } from './store-set.ts';

export interface StartOptions {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly version: string;
}

/** Why nothing was started, in sentences; `config` where the file, a variable or a flag is at fault. */
export interface StartProblem {
  readonly kind: 'config' | 'failed';
  readonly message: string;
}

/** What is there before any plane: configuration, journal, the way out. */
export interface Foundation {
  readonly options: StartOptions;
  readonly file: LoadedConfig | undefined;
  readonly control: Control;
  readonly egress: LazyEgress;
  readonly audit: AuditTrail;
  readonly money: MoneyPlane;
  readonly stores: Stores;
}

import type { Snapshot } from '@postern/core/state';
import type { GatewayClock } from '../../gateway/index.ts';
import type { Egress, Listener } from '../../http/index.ts';
import type { MeshFacts } from '../../mesh/index.ts';
import type { Logger } from '../../observe/index.ts';
import type { AuditTrail } from '../audit.ts';
import type { Deployment } from '../deployment.ts';
import type { IssuerKeyRing } from '../issuers.ts';
import type { MoneyPlane } from '../money.ts';

/** What telemetry reads of a process that is up. All of it is asked when somebody looks, not before. */
export interface TelemetryView {
  readonly version: string;
  readonly stateDir: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
  readonly clock: GatewayClock;
  readonly egress: Egress;
  readonly deployment: () => Deployment;
  readonly listeners: () => readonly Listener[];
  readonly snapshot: () => Snapshot;
  readonly isReady: () => boolean;
  readonly audit: AuditTrail;
  readonly money: MoneyPlane;
  readonly issuerKeys: IssuerKeyRing;
  /** Undefined while no mesh runs. */
  readonly mesh?: () => MeshFacts | undefined;
  readonly logger: Logger;
}

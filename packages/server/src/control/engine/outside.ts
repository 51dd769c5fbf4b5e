import type { Requester } from '../control.ts';
import type { GatewayFacts } from '../network/index.ts';
import type { EngineSync } from './policy-keeper.ts';
import type { NetworkEngine } from './ports.ts';

/** An engine that others run, as operations see it. */
export interface OutsideDesk {
  readonly engine: NetworkEngine;
  /** The same with who asks: every change has its line in the audit log. */
  as(by: Requester): NetworkEngine;
  /** How its policy stands to the one in force here. */
  sync(): EngineSync;
  /** The same, looked at now. */
  look(): Promise<EngineSync>;
  /** How this process itself is on the network; undefined where it was not asked to be. */
  gateway(): GatewayFacts | undefined;
}

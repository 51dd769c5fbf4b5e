import { auditOperations } from './audit-operations.ts';
import { checkOperations } from './check-operations.ts';
import { configOperations } from './config-operations.ts';
import { containmentOperations } from './containment-operations.ts';
import { incidentOperations } from './incident-operations.ts';
import { keyOperations } from './key-operations.ts';
import { meshOperations } from './mesh-operations.ts';
import { moneyOperations } from './money-operations.ts';
import { networkOperations } from './network-operations.ts';
import { nodeOperations } from './node-operations.ts';
import type { AnyOperation } from './operation.ts';
import { policyOperations } from './policy-operations.ts';
import { revocationOperations } from './revocation-operations.ts';
import { runtimeOperations } from './runtime-operations.ts';
import { stateOperations } from './state-operations.ts';

/** The admin API, whole. */
export const operations: readonly AnyOperation[] = [
  ...keyOperations,
  ...revocationOperations,
  ...containmentOperations,
  ...checkOperations,
  ...incidentOperations,
  ...configOperations,
  ...policyOperations,
  ...nodeOperations,
  ...networkOperations,
  ...meshOperations,
  ...moneyOperations,
  ...auditOperations,
  ...runtimeOperations,
  ...stateOperations,
];

export const apiPrefix = '/api/v1';

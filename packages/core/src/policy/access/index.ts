/**
 * @module Who may do what at the gateway: the capabilities `cap/ai`, `cap/admin`, `cap/mesh`, and those of Aperture.
 *
 * Promises: pure; denied unless one object of the policy allows it whole; the same answer for the same policy,
 * caller and request; a decision takes well under 2 microseconds at 1,000 grants, and its id leads back to the
 * line that decided. Refuses: money and rates (the names of budgets and limits are passed on), identity, I/O.
 * Sources are matched by the selectors of the principal; `*` means machines of the network only.
 */
export { AccessIndex, type AccessOptions, type AccessPoint } from './access-index.ts';
export { CallerAccess } from './caller-access.ts';
export * from './capability.ts';
export { capabilityFindings } from './check.ts';
export type {
  AdminDecision,
  AiDecision,
  AiDenial,
  AiRequest,
  MeshDecision,
  MeshRequest,
} from './decision.ts';
export { entriesOfCapMap, entriesOfFile, type Entry, type EntryProblem } from './entry.ts';
export { type Explanation, explainDecision } from './explain.ts';
export { GatewayAccess } from './gateway-access.ts';
export { type Glob, parseGlob } from './glob.ts';

/**
 * @module This machine on its network, for the command line: what is wrong, Serve, firewalls of an environment.
 *
 * Promises: looking changes nothing; setting up leaves what others set. Refuses: a running Postern (none is needed).
 */
export { listeningHere } from './listening.ts';
export { planSources, type PlanOptions } from './plan-sources.ts';
export {
  asIptables,
  asNetworkPolicies,
  asNftables,
  asSecurityGroups,
  asUfw,
  compareWith,
  environments,
  planFirewall,
  planRows,
  roles,
} from '../../ops/index.ts';
export type { Environment, FirewallPlan, Role } from '../../ops/index.ts';
export { diagnoseNetwork } from '../network/doctor.ts';
export { planServe, type ServePlan, type ServeSetup, setUpServe } from '../network/serve-setup.ts';

/**
 * @module A policy against an inventory of people and machines: what every node is told.
 *
 * Promises: packet filters, SSH rules, capabilities and node attributes in the shapes that stock Tailscale
 * clients take; nothing is resolved twice for one version of the inventory; a change of one node touches what
 * names that node. Refuses: I/O, clocks, deciding about gateway requests (`policy/access` does).
 */
export { ipPoolOf } from './attributes.ts';
export { Directory, domainOf, localPartOf } from './directory.ts';
export type { FilterContext, NodeRule } from './filter.ts';
export type { Inventory, InventoryNode, InventoryUser, NodeChange } from './inventory.ts';
export {
  mayTagsAssignTag,
  mayUserAssignTag,
  type NetworkIdentity,
  selectorsOf,
} from './identity.ts';
export type { IndexedNode, NodeIndex } from './node-index.ts';
export { peersOf } from './peers.ts';
export {
  meetsAnyPosture,
  meetsCondition,
  meetsPosture,
  type PostureAttributes,
} from './posture.ts';
export {
  type Destination,
  type Literal,
  Lowering,
  lowerPolicy,
  type Principals,
  type Program,
  type ProgramPorts,
  type ProgramRule,
  type ProgramTarget,
} from './program.ts';
export { internetSet, internetTexts, tailnetSet, tailnetTexts } from './ranges.ts';
export { containsAddr, nodesAmong, type Resolved, Resolver } from './resolve.ts';
export { approvableRoutes } from './routes.ts';
export { compileTailnet, Tailnet, type TailnetUpdate } from './tailnet.ts';
export { runTests, type TestOutcome } from './test-run.ts';
export { runSshTests } from './ssh-test-run.ts';
export { type ValidatedPolicy, validatePolicy } from './validate.ts';
export { compareVersions } from './version.ts';
export type * from './wire.ts';

/**
 * @module Reasoning about policies: who may reach what, why, and what a change of the file changes.
 *
 * Promises: exact answers over a stated world (the tailnet as it is, plus one imagined machine for every kind of
 * machine that the policies could mean), each with a witness that the compiled filters confirm. Refuses: I/O,
 * solvers, heuristics; where a limit cuts the world short it says so (`isComplete`). Limits are constants in
 * `world.ts` and `posture-classes.ts`.
 */
export { type Assertion, type AssertionOutcome, checkAssertions } from './assertions.ts';
export {
  type Atoms,
  atomsOf,
  isSameFamily,
  type SourceAtom,
  type TargetAtom,
} from './atoms.ts';
export { canonicalText } from './canonical.ts';
export {
  type AccessChange,
  Comparison,
  comparePolicies,
  type Witness,
  type WitnessEnd,
} from './comparison.ts';
export { type Coverage, coverageOf, type RuleCoverage } from './coverage.ts';
export {
  type Conjunct,
  type ExplainedAccess,
  explainAccess,
  type NearMiss,
  type RuleMatch,
} from './explain.ts';
export { accessKey, normalForm } from './normal-form.ts';
export {
  admitsPacket,
  closed,
  formatOpening,
  isClosed,
  type Opening,
  openingKey,
  openingOf,
  type PacketKind,
  samplePacket,
  subtractOpening,
  unionOpenings,
} from './opening.ts';
export { type PostureClasses, postureClasses } from './posture-classes.ts';
export {
  cellOf,
  type MatrixCell,
  type ReachMatrix,
  type ReachQuestion,
  type ReachRow,
  reach,
  reachCsv,
  reachMatrix,
} from './reach.ts';
export { type Access, type AtomClass, Relation } from './relation.ts';
export { formatRuleRef, type RuleRef, ruleRefs } from './rule-refs.ts';
export { openRuleId } from './rule-tokens.ts';
export { packetBetween, selectSources, selectTargets } from './selection.ts';
export { effectiveLogin, formatLogins, type SshLogins } from './ssh-logins.ts';
export { nodeAdmits, nodeLogin, type Packet } from './wire-check.ts';
export type { AccessKind } from './witness.ts';
export { superfluousRules } from './superfluous.ts';
export { actualWorld, type World, worldOf } from './world.ts';

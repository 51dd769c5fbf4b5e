/**
 * @module What is wrong with a policy file, what an engine would refuse, what it probably does not mean.
 *
 * Promises: errors are what makes a file unusable, warnings what is seldom meant, notes what can be left out; each
 * with its place; a rule is called redundant only with a proof (`policy/reason`). Refuses: changing anything. Limits:
 * in large tailnets rules are compared one with another only.
 */
export { checkPolicy, type CheckedPolicy, type CheckOptions } from './check.ts';
export {
  type EngineAnswer,
  type EngineDifference,
  engineDifferences,
  engineFindings,
  type EngineName,
  engineNames,
  placedSelectors,
} from './engine.ts';
export { type Redundant, redundantRules } from './redundant.ts';
export { fileTraps, tailnetTraps } from './trap.ts';

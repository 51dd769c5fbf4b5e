/**
 * @module What is said about policy files, as plain data: checks, tests, differences, plans, reachability, reasons.
 *
 * Promises: the same words and positions whether a command reads a file by itself or a running Postern answers; every
 * answer is JSON. Without a network the questions are asked of imagined machines, one for each kind that the file
 * names. Refuses: I/O, storage, deciding. Limits are those of `policy/file` and `policy/reason`.
 */
export { type CheckReport, checkReport, type FindingView, type TestView } from './check.ts';
export { type ChangeView, type DiffReport, diffReport } from './diff.ts';
export {
  type AccessQuestion,
  explainDecisionId,
  explainAccessOf,
  explainPacket,
  type ExplainReport,
  type PacketQuestion,
} from './explain.ts';
export { type KnownNames, namedInRules, undefinedNames, undefinedNameText } from './names.ts';
export { type PlanFindingView, type PlanReport, planReport } from './plan.ts';
export { type PreviewQuestion, type PreviewRow, previewReport } from './preview.ts';
export { type ReachReport, reachReport } from './reach.ts';
export { standInInventory } from './stand-in.ts';

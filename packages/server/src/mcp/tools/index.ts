/**
 * @module The tools that agents get: operations of the admin API in the words and the sizes that a model works with.
 *
 * Promises: names, descriptions and order are fixed, so that a client sees the same list whatever was called before; a
 * tool does what its operations do and nothing else; what others wrote stands in fields of its own. Refuses: policies as
 * text to apply (a plan only), `confirm` and `dry_run` arguments (a model sets them by itself), secrets in answers.
 */
import type { AnyTool } from '../tool.ts';
import { deviceTools } from './devices.ts';
import { keyTools } from './keys.ts';
import { policyChangeTools } from './policy-changes.ts';
import { policyQuestionTools } from './policy-questions.ts';
import { recordTools } from './records.ts';

/** Every tool, in the order of the list. */
export const tools: readonly AnyTool[] = [
  ...deviceTools,
  ...policyQuestionTools,
  ...policyChangeTools,
  ...keyTools,
  ...recordTools,
];

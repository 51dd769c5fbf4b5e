/**
 * Judges Compose files: what a container may do, who reaches it, where its secrets are. It takes the parsed YAML and gives
 * one sentence for each thing that breaks a rule; it does not check the file against the Compose schema (the tests do).
 * @module
 */
export { readDockerRun } from './docker-run.ts';
export type { ComposeFile, ComposeService } from './file.ts';
export { readCompose } from './file.ts';
export type { ComposeRule } from './rules.ts';
export { composeRules } from './rules.ts';

/**
 * Reads Terraform modules as a graph of resources and judges the picture of AWS that they make: who can reach what, on
 * which port, with which role. It promises that counts, conditions, modules and references are resolved as a plan would;
 * what only AWS knows stays a reference. It refuses expressions that it does not understand, with their text.
 * @module
 */
export type { Graph, ReadFolder, Resource } from './graph.ts';
export { buildGraph } from './graph.ts';
export type { Opening } from './openings.ts';
export { openingsOf } from './openings.ts';
export type { ReadText, Rule } from './rules/index.ts';
export { rules } from './rules/index.ts';
export type { RunResult } from './test-file.ts';
export { runTestFile } from './test-file.ts';
export type { Fields, Value } from './value.ts';

/**
 * The rules of the AWS picture: deny by default, named callers, named rights, nothing in the clear. Each has a mutant in
 * the tests that only it catches.
 * @module
 */
import { machines } from './machines.ts';
import { reach } from './reach.ts';
import { rights } from './rights.ts';
import type { Rule } from './rule.ts';
import { services } from './services.ts';

export type { ReadText, Rule } from './rule.ts';

/** Every rule, in the order in which a person would look. */
export const rules: readonly Rule[] = [...reach, ...machines, ...rights, ...services];

/**
 * @module Acts on a model server by running a program: starts it anew, gives it a new key.
 *
 * Promises: no shell, an environment of PATH, HOME and LANG only, a key over standard input and nowhere else, an end by
 * the signal. Refuses: reading more than one line of what the program prints.
 */
export * from './operate-command.ts';

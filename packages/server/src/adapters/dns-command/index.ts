/**
 * @module Puts TXT records into public DNS by running a program.
 *
 * Promises: no shell; the name and the value are its last two arguments, and nothing a machine sent is in its environment
 * (PATH, HOME and LANG only); a program that takes too long is ended. Refuses: reading what it prints, beyond the last line
 * of its errors for the log.
 */
export * from './dns-command.ts';

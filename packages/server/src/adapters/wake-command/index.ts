/**
 * @module Wakes a machine by running a program.
 *
 * Promises: no shell, an environment of PATH, HOME and LANG only (what the gateway knows is not the program's
 * business), an end by the signal of the wait. Refuses: reading what the program prints, beyond the last line of its
 * errors for the log.
 */
export * from './wake-command.ts';

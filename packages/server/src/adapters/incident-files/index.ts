/**
 * @module The files of incidents in the state folder: signed evidence, progress, secrets that wait for their owners.
 *
 * Promises: folder 0700, files 0600; a file is whole or not there; ids choose no paths. Refuses: signing, deleting
 * evidence.
 */
export * from './incident-files.ts';

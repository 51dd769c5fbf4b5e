/**
 * @module What the mesh's own authority keeps: its keys and its members, as files of one folder.
 *
 * Promises: folders 0700, files 0600, written whole and synced before they count; of two processes that make a generation,
 * add a member or spend a token at once, one is told that it was first. Refuses: files that others may read, or that are
 * damaged: an authority that forgot its keys would be another one. Limits: files of 64 KiB.
 */
export * from './generations.ts';
export * from './joins.ts';
export * from './members.ts';

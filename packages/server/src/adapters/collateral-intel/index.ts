/**
 * @module Intel's collateral for SGX and TDX: fetched from Intel or a caching service (PCCS), kept in the state folder.
 *
 * Promises: every signature is checked to the pinned root before anything is stored or handed out, and again when a
 * file is read; one request a subject at a time; refreshed ahead of its end; the last good one counts while it is
 * inside its window, and nothing afterwards; nothing goes back to an older list or statement; files are written
 * whole and for their owner alone. Refuses: addresses out of evidence, redirects, subjects that no pinned root
 * vouches for. Limits: 256 subjects, lists of 4 MiB, statements of 256 kB, one retry a minute after a failure, then
 * rarer up to one an hour.
 */
export { type CollateralOrigin, cachingOrigin, fetchCollateral, intelOrigin } from './fetch.ts';
export { type CollateralEntry, type CollateralOptions, CollateralService } from './service.ts';

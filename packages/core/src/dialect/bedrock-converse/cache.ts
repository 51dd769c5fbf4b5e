import type { JsonObject } from '../../base/index.ts';
import type { Fields } from '../fields.ts';
import type { CacheMarker } from '../model.ts';

/**
 * Cache markers: a block of its own here (`{"cachePoint":{"type":"default","ttl":"1h"}}`) that follows what is to be
 * cached; a member of the block elsewhere (`{"type":"ephemeral","ttl":"1h"}`).
 */

export function cachePointOf(marker: CacheMarker, hasTtl: boolean): JsonObject {
  const { ttl } = marker;
  const isKnown = hasTtl && (ttl === '5m' || ttl === '1h');
  return { cachePoint: { type: 'default', ...(isKnown ? { ttl } : {}) } };
}

/** The marker of a cache point, undefined where it is of a type that nobody else knows. */
export function markerOf(point: Fields): CacheMarker | undefined {
  if (point.text('type') !== 'default') return undefined;
  const ttl = point.optionalText('ttl');
  return { type: 'ephemeral', ...(ttl === undefined ? {} : { ttl }) };
}

import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { CredentialScope } from '@postern/core/identity';
import { globStepsMax, patternCovers } from './glob.ts';
import type { KeyRecord } from './model.ts';

/** What narrows whoever makes a key: the scope of its own credential and, where that is a key, the key itself. */
export interface Narrowing {
  readonly scope?: CredentialScope | undefined;
  readonly key?: KeyRecord | undefined;
}

/** What a new key asks for. */
export interface Wanted {
  readonly scope: CredentialScope;
  readonly boundTo: readonly string[];
  readonly expiresAtMs?: number | undefined;
}

/**
 * Why a new key would be wider than its maker, or undefined where it is not. A key that was made by a key can do
 * no more, from no more places, for no longer.
 */
export function widening(wanted: Wanted, maker: Narrowing): Refusal | undefined {
  return (
    scopeWidening(wanted.scope, maker.scope) ??
    scopeWidening(wanted.scope, maker.key?.scope) ??
    bindingWidening(wanted.boundTo, maker.key?.boundTo ?? []) ??
    lifeWidening(wanted.expiresAtMs, maker.key?.expiresAtMs)
  );
}

function scopeWidening(
  wanted: CredentialScope,
  limit: CredentialScope | undefined,
): Refusal | undefined {
  if (limit === undefined) return undefined;
  if (limit.models !== undefined) {
    const allowed = limit.models;
    if (wanted.models === undefined) return wider('scope.models', 'every model', allowed);
    const work = { stepsLeft: globStepsMax };
    const extra = wanted.models.find(
      (model) => !allowed.some((pattern) => patternCovers(pattern, model, work)),
    );
    if (extra !== undefined) return wider('scope.models', `"${extra}"`, allowed);
  }
  if (limit.dialects !== undefined) {
    const allowed = limit.dialects;
    if (wanted.dialects === undefined) return wider('scope.dialects', 'every dialect', allowed);
    const extra = wanted.dialects.find((dialect) => !allowed.includes(dialect));
    if (extra !== undefined) return wider('scope.dialects', `"${extra}"`, allowed);
  }
  if (limit.join !== undefined) {
    const allowed = limit.join;
    const extra = wanted.join?.find((type) => !allowed.includes(type));
    if (extra !== undefined) return wider('scope.join', `nodes of type "${extra}"`, allowed);
  }
  if (wanted.network !== undefined && limit.admin !== true) {
    const allowed = limit.network ?? [];
    const extra = wanted.network.find((scope) => !coversNetworkScope(allowed, scope));
    if (extra !== undefined) return wider('scope.network', `"${extra}"`, allowed);
  }
  if (limit.admin === false && wanted.admin !== false) {
    return denied('scope.admin', 'Your credential may not administer, so its keys may not either.');
  }
  return undefined;
}

/** Scopes of the network API: `all` is everything, writing takes in reading, `all:read` reads everything. */
export function coversNetworkScope(held: readonly string[], wanted: string): boolean {
  if (held.includes(wanted)) return true;
  if (wanted.startsWith('tag:')) return false;
  if (held.includes('all')) return true;
  if (!wanted.endsWith(':read')) return false;
  return held.includes('all:read') || held.includes(wanted.slice(0, -':read'.length));
}

function bindingWidening(wanted: readonly string[], limit: readonly string[]): Refusal | undefined {
  if (limit.length === 0) return undefined;
  if (wanted.length > 0 && wanted.every((who) => limit.includes(who))) return undefined;
  return denied('boundTo', `Your key is bound to ${limit.join(', ')}; bind the new one to those.`);
}

function lifeWidening(wanted: number | undefined, limit: number | undefined): Refusal | undefined {
  if (limit === undefined || (wanted !== undefined && wanted <= limit)) return undefined;
  const end = new Date(limit).toISOString();
  return denied('expiresAtMs', `Your key ends at ${end}; the new one must end by then.`);
}

function wider(param: string, what: string, allowed: readonly string[]): Refusal {
  return denied(param, `Your credential does not cover ${what}, only ${allowed.join(', ')}.`);
}

function denied(param: string, message: string): Refusal {
  return {
    ...refusal('access_denied', `The new key would be wider than yours. ${message}`),
    param,
  };
}

import type { z } from '@hono/zod-openapi';
import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import type {
  ConfigGeneration,
  KeyRecord,
  Revocation,
  RevocationTarget,
} from '@postern/core/state';
import { keyStanding } from '@postern/core/state';
import type { generationSchema, keySchema, revocationSchema, targetSchema } from './schemas.ts';

/** Records as the API shows them, and its requests as records. A key's digest never leaves. */
export function keyView(key: KeyRecord, nowMs: number): z.input<typeof keySchema> {
  const standing = keyStanding(key, nowMs);
  const ended = standing.ok ? 'active' : 'expired';
  const { models, dialects, join, network, admin } = key.scope;
  return {
    id: key.id,
    name: key.name,
    hint: key.hint,
    standing: key.revokedAtMs === undefined ? ended : 'revoked',
    scope: {
      ...(models === undefined ? {} : { models: [...models] }),
      ...(dialects === undefined ? {} : { dialects: [...dialects] }),
      ...(join === undefined ? {} : { join: [...join] }),
      ...(network === undefined ? {} : { network: [...network] }),
      ...(admin === undefined ? {} : { admin }),
    },
    bound_to: [...key.boundTo],
    created_by: key.createdBy,
    created_at: isoTime(key.createdAtMs),
    ...(key.expiresAtMs === undefined ? {} : { expires_at: isoTime(key.expiresAtMs) }),
    ...(key.revokedAtMs === undefined ? {} : { revoked_at: isoTime(key.revokedAtMs) }),
    ...(key.revokedReason === undefined ? {} : { revoked_reason: key.revokedReason }),
  };
}

export function revocationView(revocation: Revocation): z.input<typeof revocationSchema> {
  return {
    id: revocation.id,
    target: targetView(revocation.target),
    at: isoTime(revocation.atMs),
    created_by: revocation.createdBy,
    ...(revocation.reason === undefined ? {} : { reason: revocation.reason }),
  };
}

function targetView(target: RevocationTarget): z.input<typeof targetSchema> {
  if (target.by === 'peer') return { by: 'peer', kind: target.kind, id: target.id };
  const { issuer } = target;
  if (target.by === 'token') {
    const end = target.expiresAtMs;
    return {
      by: 'token',
      issuer,
      token_id: target.tokenId,
      ...(end === undefined ? {} : { expires_at: isoTime(end) }),
    };
  }
  if (target.by === 'issuer') {
    return { by: 'issuer', issuer, issued_before: isoTime(target.issuedBeforeMs) };
  }
  const before = target.issuedBeforeMs;
  return {
    by: 'subject',
    issuer,
    subject: target.subject,
    ...(before === undefined ? {} : { issued_before: isoTime(before) }),
  };
}

export function targetOf(target: z.output<typeof targetSchema>): RevocationTarget {
  if (target.by === 'peer') return { by: 'peer', kind: target.kind, id: target.id };
  const { issuer } = target;
  if (target.by === 'token') {
    return {
      by: 'token',
      issuer,
      tokenId: target.token_id,
      ...(target.expires_at === undefined ? {} : { expiresAtMs: Date.parse(target.expires_at) }),
    };
  }
  if (target.by === 'issuer') {
    return { by: 'issuer', issuer, issuedBeforeMs: Date.parse(target.issued_before) };
  }
  return {
    by: 'subject',
    issuer,
    subject: target.subject,
    ...(target.issued_before === undefined
      ? {}
      : { issuedBeforeMs: Date.parse(target.issued_before) }),
  };
}

export function generationView(generation: ConfigGeneration): z.input<typeof generationSchema> {
  return {
    number: generation.number,
    digest: generation.digest,
    applied_by: generation.appliedBy,
    applied_at: isoTime(generation.appliedAtMs),
    ...(generation.note === undefined ? {} : { note: generation.note }),
  };
}

export interface Page<T> {
  readonly items: T[];
  readonly next?: string;
}

/** One page of a list that is in its order. An `after` that is gone is refused, since skipping could hide entries. */
export function pageAfter<T extends { readonly id: string }, V>(
  all: readonly T[],
  query: { readonly after?: string | undefined; readonly limit: number },
  view: (item: T) => V,
): Result<Page<V>, Refusal> {
  const { after, limit } = query;
  const at = after === undefined ? 0 : all.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && at === 0) {
    return refuse('invalid_request', `after: there is no ${after}; begin again.`, {
      param: 'after',
    });
  }
  const items = all.slice(at, at + limit);
  const last = items.at(-1);
  const isMore = last !== undefined && at + limit < all.length;
  return ok({ items: items.map(view), ...(isMore ? { next: last.id } : {}) });
}

export function isoTime(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

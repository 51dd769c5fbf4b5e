import { z } from 'zod';
import { mcpLimits } from '../limits.ts';

/** Fields that several tools take. Words that people use, before ids. */
export const limit = z.number().min(1).max(mcpLimits.rowsMax).default(20);
export const cursor = z.string().max(128).optional().describe('`next` of the page before.');
export const word = z.string().min(1).max(256);
export const planId = z.string().max(64);
export const digest = z.string().regex(/^[0-9a-f]{64}$/);

/** One page of rows that are all here, by their place. A cursor that means nothing begins again at the start. */
export function pageOf<T>(
  rows: readonly T[],
  after: string | undefined,
  count: number,
): { readonly rows: readonly T[]; readonly next?: string } {
  const from = /^\d{1,9}$/.test(after ?? '') ? Number(after) : 0;
  const to = from + Math.trunc(count);
  return { rows: rows.slice(from, to), ...(to < rows.length ? { next: String(to) } : {}) };
}

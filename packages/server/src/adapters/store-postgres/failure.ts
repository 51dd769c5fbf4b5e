import type { StoreFailure } from '../../control/store.ts';
import type { BankFailure } from '../../gateway/money/bank.ts';

/** A failure on its way out of nested calls; the border of this folder turns it into a value. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly kind: StoreFailure['kind'];

  constructor(kind: StoreFailure['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** What our own triggers raise. */
export const brokenChain = 'PS001';
export const appendOnly = 'PS002';

/** SQLSTATE (PostgreSQL, appendix A) to what it means for whoever runs Postern. */
function kindOf(code: string): StoreFailure['kind'] {
  if (code === '53100') return 'full';
  if (code === brokenChain || code === '23505') return 'conflict';
  if (code === appendOnly) return 'refused';
  if (code === 'XX001' || code === 'XX002') return 'corrupt';
  if (code === '42P01' || code === '42703' || code === '3F000') return 'unsupported';
  return 'unavailable';
}

const sentences: Readonly<Record<StoreFailure['kind'], string>> = {
  unavailable: 'PostgreSQL does not answer',
  full: 'PostgreSQL has no space left',
  in_use: 'Another gateway leads',
  corrupt: 'PostgreSQL found damage in its files; restore a backup',
  unsupported: 'The schema in PostgreSQL is not the one of this release',
  conflict: 'Another gateway wrote to the journal in between',
  refused: 'Refused',
};

/** The SQLSTATE of an error that the server sent; undefined for anything else. */
export function sqlState(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause)) return undefined;
  const { code } = cause;
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** May the same transaction go through when it is done again? Serialization failures and deadlocks. */
export function isTransient(cause: unknown): boolean {
  const code = sqlState(cause);
  return code === '40001' || code === '40P01';
}

/** What went wrong as a value. A defect of ours is thrown on. */
export function failureOf(cause: unknown): StoreFailure {
  if (cause instanceof StoreError) return { kind: cause.kind, message: cause.message };
  // The driver reports a broken connection as a plain Error; these three only a mistake in the code makes.
  if (!(cause instanceof Error) || cause instanceof TypeError || cause instanceof RangeError)
    throw cause;
  const code = sqlState(cause);
  if (code === undefined) {
    const why = cause.message === '' && 'code' in cause ? String(cause.code) : cause.message;
    return { kind: 'unavailable', message: `${sentences.unavailable}: ${why}.` };
  }
  const kind = kindOf(code);
  return { kind, message: `${sentences[kind]}: ${cause.message} (${code}).` };
}

export function bankFailureOf(cause: unknown): BankFailure {
  const { kind, message } = failureOf(cause);
  return { kind: kind === 'full' || kind === 'corrupt' ? kind : 'unavailable', message };
}

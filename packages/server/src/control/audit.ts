import type { ErrorCode } from '@postern/core/errors';
import { errorRow } from '@postern/core/errors';
import type { Actor } from '@postern/core/state';

/**
 * One control operation as the audit log keeps it, allowed or not. The log gives it its place in a chain; a change
 * that was made is in the journal besides, under `journalIndex`.
 */
export interface ControlLine {
  readonly atMs: number;
  readonly operation: string;
  readonly actor: Actor;
  readonly requestId?: string;
  readonly outcome: 'allowed' | 'refused' | 'failed';
  /** The code of the refusal or failure. */
  readonly code?: ErrorCode;
  /** The last record that the operation wrote; absent where it changed nothing. */
  readonly journalIndex?: number;
}

export type RecordLine = (line: ControlLine) => void;

/** A refusal is the caller's; a failure is ours, and says nothing about the caller. */
export function outcomeOf(code: ErrorCode): 'refused' | 'failed' {
  return errorRow(code).status >= 500 ? 'failed' : 'refused';
}

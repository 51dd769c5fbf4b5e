import type { Err } from '../base/index.ts';
import { err } from '../base/index.ts';
import type { ErrorCode } from './table.ts';

/** An expected "no": a value, never thrown. Only the edge turns it into a response, in the caller's dialect. */
export interface Refusal {
  readonly code: ErrorCode;
  /** What happened, why and what to do next, for the caller. Never holds a secret or another caller's data. */
  readonly message: string;
  /** The field of the request that is at fault, as a dotted path. */
  readonly param?: string;
  readonly retryAfterMs?: number;
  /** Status of the upstream, where its own status is passed on (a 4xx that names the caller's mistake). */
  readonly status?: number;
  /** For the log only: names, counts, causes. Never secrets, never prompts. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

export type RefusalOptions = Omit<Refusal, 'code' | 'message'>;

export function refusal(code: ErrorCode, message: string, options: RefusalOptions = {}): Refusal {
  return { code, message, ...options };
}

export function refuse(
  code: ErrorCode,
  message: string,
  options: RefusalOptions = {},
): Err<Refusal> {
  return err(refusal(code, message, options));
}

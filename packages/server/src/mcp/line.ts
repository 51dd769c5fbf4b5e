import type { ErrorCode } from '@postern/core/errors';
import type { Actor } from '@postern/core/state';

/** One call of an agent as the audit log keeps it: exactly one for each, whatever became of it. */
export interface ToolLine {
  readonly atMs: number;
  readonly durationMs: number;
  /** Names the call in the log, in the lines of its operations and in the answer. */
  readonly requestId: string;
  readonly actor: Actor;
  /** What the client calls itself, its word alone; a digest of it where we do not know the name. */
  readonly client?: string;
  /** The tool, or a digest where there is none of that name; `resource` was read, `handoff` fetched by a person. */
  readonly tool: string;
  /** SHA-256 of the arguments; the arguments themselves are not kept. */
  readonly argsDigest: string;
  readonly outcome: 'allowed' | 'asked' | 'refused' | 'failed';
  readonly code?: ErrorCode;
  readonly plan?: string;
  /** Who approved the plan, or `elicitation` where the client passed on that somebody agreed. */
  readonly approvedBy?: string;
  readonly policyBefore: string;
  readonly policyAfter: string;
}

import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { OperationContext, Permit } from '../control/api/index.ts';
import type { ToolLine } from './line.ts';

/** Where a secret waits for a person. Never the secret itself. */
export type Delivered =
  | { readonly how: 'file'; readonly path: string; readonly command: string }
  | { readonly how: 'link'; readonly url: string; readonly expires_at: string };

/** What the desk needs of the rest of the process. */
export interface DeskPorts {
  readonly operations: () => Promise<OperationContext>;
  /** Told once of every call; must not throw. */
  readonly record: (line: ToolLine) => void;
  /** Keeps a secret for the owner of this process in a file that only they can read; gives its path. */
  readonly keepFile: (name: string, secret: string) => Promise<Result<string, Refusal>>;
  /** Nothing that changes anything, whatever callers are granted. */
  readonly isReadOnly: () => boolean;
  /** Told of a defect, which the caller sees only as an id. */
  readonly onFault: (fault: unknown, requestId: string) => void;
}

/** Who stands before the desk with one request. */
export interface Visitor {
  readonly requestId: string;
  readonly caller: Caller;
  readonly permit: Permit;
  /** The same object for all requests of one connection. */
  readonly connection?: object;
  /** Narrower than what the caller may do: only tools that look. */
  readonly isReadOnly: boolean;
  /** What the client calls itself. */
  readonly client?: string;
  /** `local`: the owner of the process, who finds files on this machine. Else where a person fetches what waits. */
  readonly place:
    | { readonly kind: 'local' }
    | { readonly kind: 'network'; readonly origin: string };
}

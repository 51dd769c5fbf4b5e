import type { Result } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import type { KeyRecord } from '@postern/core/state';
import type { HttpRequest } from '../../http/exchange.ts';
import type { OperationName } from '../api/operation.ts';
import type { Control, Requester } from '../control.ts';
import type { NetworkEngine } from '../engine/index.ts';

export interface TailnetApiOptions {
  readonly control: Control;
  /** The engine that is shown, with who asks; undefined while it does not run. */
  readonly engine: (by: Requester) => NetworkEngine | undefined;
  /** Who holds a key of Postern. */
  readonly identify: (request: HttpRequest) => Promise<Result<Requester, Refusal>>;
  /** Whether the policy lets a key carry out an operation of the admin API (`postern.dev/cap/admin`). */
  readonly permits: (key: KeyRecord, operation: OperationName) => boolean;
  /** Signs access tokens: HMAC-SHA-256 under a key that outlives a restart, hex. */
  readonly mac: (text: string) => string;
}

/** One call, its caller known. */
export interface ApiCall {
  readonly method: string;
  /** Segments after `/api/v2/`, decoded; without `tailnet/-`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly headers: HttpRequest['headers'];
  readonly text: string;
  readonly by: Requester;
  readonly scopes: readonly string[];
  readonly engine: NetworkEngine;
  readonly control: Control;
}

export interface ApiAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly hujson?: string;
}

export type ApiResult = Promise<Result<ApiAnswer, Refusal>>;

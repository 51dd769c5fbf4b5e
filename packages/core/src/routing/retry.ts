import { assert } from '../base/index.ts';
import type { ErrorCode, Refusal } from '../errors/index.ts';

/** How often one request may go to the same target again, and how much all of them together may. */
export interface RetryRules {
  /** Repetitions of one request at one target. */
  readonly times: number;
  /** What each first try earns: 0.2 lets retries add a fifth to the load at most, however much fails. */
  readonly ratio: number;
  /** The most that is saved up. */
  readonly burst: number;
}

/** Retries that may still be made, as a token bucket that first tries fill. */
export interface RetryBudget {
  readonly tokens: number;
}

export function fullRetryBudget({ burst }: RetryRules): RetryBudget {
  return { tokens: burst };
}

export function earnRetry({ ratio, burst }: RetryRules, { tokens }: RetryBudget): RetryBudget {
  return { tokens: Math.min(burst, tokens + ratio) };
}

/** The budget afterwards; undefined where there is nothing left to spend. */
export function spendRetry({ tokens }: RetryBudget): RetryBudget | undefined {
  return tokens >= 1 ? { tokens: tokens - 1 } : undefined;
}

/** No request sleeps longer than this for a target: the next one is asked, or the caller told. */
export const retryWaitMsMax = 1_000;
const backoffMsFirst = 100;

/**
 * How long to wait before the same target is asked again; undefined: it must not be waited for. `retryIndex` counts
 * from 0, `random` is in [0, 1): callers that failed together do not come back together.
 */
export function retryWaitMs(
  { retryAfterMs }: Pick<Refusal, 'retryAfterMs'>,
  retryIndex: number,
  random: number,
): number | undefined {
  assert(random >= 0 && random < 1, 'random is in [0, 1)');
  if (retryAfterMs !== undefined && retryAfterMs > retryWaitMsMax) return undefined;
  const backoffMs = Math.min(backoffMsFirst * 2 ** retryIndex, retryWaitMsMax);
  const jitteredMs = backoffMs / 2 + (random * backoffMs) / 2;
  return Math.min(retryWaitMsMax, Math.ceil((retryAfterMs ?? 0) + jitteredMs));
}

/** What a failed attempt says about the target and about what to do next. */
export interface Judgement {
  /** Counts against the target. A caller's mistake, our credential or a rate limit do not. */
  readonly isFault: boolean;
  /** `again`: the same target may be asked again, or the next one. `next`: only another one. `nobody`: none. */
  readonly ask: 'again' | 'next' | 'nobody';
}

const sameAgain: Judgement = { isFault: true, ask: 'again' };
const elsewhere: Judgement = { isFault: true, ask: 'next' };
const blameless: Judgement = { isFault: false, ask: 'next' };
const final: Judgement = { isFault: false, ask: 'nobody' };

/** Statuses of a server that failed, whatever was asked of it. */
const failedStatuses: ReadonlySet<unknown> = new Set([500, 502, 503, 529]);
/** Causes that a second handshake meets again. */
const certificateCauses = /CERT|UNABLE_TO_|SELF_SIGNED|ISSUER|ALTNAME|CRL|CA_|HOSTNAME|PATH_LENGTH/;

const judgements: Readonly<Partial<Record<ErrorCode, (refused: Refusal) => Judgement>>> = {
  upstream_unavailable: judgeUnreached,
  upstream_error: judgeError,
  // Without a time to come back at, coming back is a guess at the expense of a server that has too much to do.
  upstream_overloaded: ({ retryAfterMs }) => (retryAfterMs === undefined ? elsewhere : sameAgain),
  // Whoever waited that long does not wait as long again for the same machine.
  upstream_timeout: () => elsewhere,
  upstream_rate_limited: ({ retryAfterMs }) =>
    retryAfterMs === undefined ? blameless : { isFault: false, ask: 'again' },
  upstream_credential: () => blameless,
  egress_refused: () => blameless,
  overloaded: () => blameless,
  model_not_found: () => blameless,
};

export function judgeFailure(refused: Refusal): Judgement {
  return judgements[refused.code]?.(refused) ?? final;
}

function judgeUnreached({ detail }: Refusal): Judgement {
  if (detail?.['stage'] === 'cancelled') return blameless;
  return certificateCauses.test(String(detail?.['cause'] ?? '')) ? elsewhere : sameAgain;
}

function judgeError({ detail }: Refusal): Judgement {
  const status = detail?.['upstreamStatus'];
  if (status === undefined || failedStatuses.has(status)) return sameAgain;
  // Any other 5xx is a failure too; the rest (redirects, missing routes) is how the provider is configured.
  return typeof status === 'number' && status >= 500 ? elsewhere : blameless;
}

import type { GatewayClock } from '../gateway/index.ts';
import type { RefusedRequest } from '../http/index.ts';
import { routeName } from '../observe/audit/index.ts';
import type { Logger } from '../observe/index.ts';

/** Lines in one minute before refusals are counted instead: enough to see what happens, too few to fill a disk. */
const linesPerMinuteMax = 60;
/** Sources that are told apart within a minute; what comes from more of them is counted together. */
const sourcesMax = 1_000;
/** The longest registered method, with room. */
const methodCharsMax = 24;
const minuteMs = 60_000;

interface Count {
  readonly first: RefusedRequest;
  count: number;
}

export interface RefusalLog {
  take(refused: RefusedRequest): void;
  /** Writes what was only counted so far. */
  close(): void;
}

/**
 * The access log of requests that no handler saw. Who sends garbage decides how much of it there is, so beyond some
 * lines a minute there is one line for each source and code, with a count.
 */
export function createRefusalLog(logger: Logger, clock: GatewayClock): RefusalLog {
  const counts = new Map<string, Count>();
  let lines = 0;
  let timer: { clear(): void } | undefined;

  function flush(): void {
    timer?.clear();
    timer = undefined;
    lines = 0;
    for (const { first, count } of counts.values()) {
      logger.info({ ...lineOf(first), request_id: undefined, count }, 'request');
    }
    counts.clear();
  }

  return {
    take(refused) {
      timer ??= clock.after(minuteMs, flush);
      if (lines < linesPerMinuteMax) {
        lines += 1;
        logger.info(lineOf(refused), 'request');
        return;
      }
      const isKnown = counts.has(keyOf(refused, refused.peerAddress));
      const source = isKnown || counts.size < sourcesMax ? refused.peerAddress : 'others';
      const key = keyOf(refused, source);
      const known = counts.get(key);
      if (known === undefined) {
        const first = { ...refused, peerAddress: source, method: undefined, target: undefined };
        counts.set(key, { first, count: 1 });
      } else known.count += 1;
    },
    close: flush,
  };
}

function keyOf({ listener, code }: RefusedRequest, source: string | undefined): string {
  return `${listener} ${code} ${source ?? ''}`;
}

function lineOf(refused: RefusedRequest): Record<string, unknown> {
  return {
    request_id: refused.requestId,
    listener: refused.listener,
    method: refused.method?.slice(0, methodCharsMax),
    // A query or an unknown path may hold what nobody should read.
    path: pathOf(refused.target),
    status: refused.status,
    outcome: 'refused',
    client: refused.peerAddress,
    error: refused.code,
  };
}

function pathOf(target: string | undefined): string | undefined {
  const path = target?.split('?', 1)[0];
  return path === undefined ? undefined : routeName(path);
}

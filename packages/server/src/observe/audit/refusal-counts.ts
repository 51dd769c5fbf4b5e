import type { AuditRecord } from '@postern/core/state/audit';

/** A request of nobody: refused before or because it was not known who asks. */
export interface Unidentified {
  readonly listener: string;
  readonly code: string;
  readonly source: string | undefined;
}

/** Sources that are told apart within a minute; what comes from more of them is counted together. */
const sourcesMax = 1_000;
const minuteMs = 60_000;

interface Count extends Unidentified {
  count: number;
}

/**
 * Counts refusals by source, reason and minute: who sends garbage decides how much of it there is, so that it gets one
 * record for each of these and never one for each request.
 */
export class RefusalCounts {
  readonly #counts = new Map<string, Count>();
  #minute = -1;

  /** Counts one; records of the minute before, where it has ended. */
  take({ listener, code, source }: Unidentified, nowMs: number): readonly AuditRecord[] {
    const ended = this.flush(nowMs);
    const known = this.#counts.get(keyOf(listener, code, source));
    if (known !== undefined) {
      known.count += 1;
      return ended;
    }
    const from = this.#counts.size < sourcesMax ? source : 'others';
    const key = keyOf(listener, code, from);
    const others = this.#counts.get(key);
    if (others === undefined) this.#counts.set(key, { listener, code, source: from, count: 1 });
    else others.count += 1;
    return ended;
  }

  /** The records of a minute that is over; with `isEnd` those of the current one too. */
  flush(nowMs: number, isEnd = false): readonly AuditRecord[] {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute === this.#minute && !isEnd) return [];
    const started = this.#minute * minuteMs;
    const records = [...this.#counts.values()].map(
      ({ code, count, listener, source }): AuditRecord => ({
        kind: 'refusals',
        v: 1,
        atMs: Math.trunc(nowMs),
        fields: { client: source, count, error: code, listener, minute_ms: started },
      }),
    );
    this.#counts.clear();
    this.#minute = minute;
    return records;
  }
}

function keyOf(listener: string, code: string, source: string | undefined): string {
  return `${listener} ${code} ${source ?? ''}`;
}

import type { AuditRecord } from '@postern/core/state/audit';

/** One decision at an edge of the mesh. */
export interface MeshDecision {
  readonly edge: 'inbound' | 'outbound' | 'auth';
  readonly outcome: 'allowed' | 'denied' | 'refused';
  /** By which a peer is known to the policy; undefined: it was not believed. */
  readonly app: string | undefined;
  readonly instance: string | undefined;
  readonly verifiedBy: string | undefined;
  readonly port: number | undefined;
  /** Id of the policy decision, for what the policy decided. */
  readonly decision: string | undefined;
  /** Why not: a code of ours. */
  readonly error: string | undefined;
  readonly source: string | undefined;
}

/** Decisions that are told apart within a minute; what goes beyond is counted without who and where. */
const decisionsMax = 4_096;
const minuteMs = 60_000;

interface Count {
  readonly decision: MeshDecision;
  count: number;
}

/**
 * Counts what was decided at the mesh's edges by who, where and why, a minute at a time: one record for each of these and
 * never one for each request, since a peer decides how many of them there are.
 */
export class MeshCounts {
  readonly #counts = new Map<string, Count>();
  #minute = -1;

  /** Counts one; records of the minute before, where it has ended. */
  take(decision: MeshDecision, nowMs: number): readonly AuditRecord[] {
    const ended = this.flush(nowMs);
    const key = keyOf(decision);
    const known = this.#counts.get(key);
    if (known !== undefined) {
      known.count += 1;
      return ended;
    }
    if (this.#counts.size < decisionsMax) {
      this.#counts.set(key, { decision, count: 1 });
      return ended;
    }
    const { edge, outcome, error } = decision;
    const others = { ...nobody, edge, outcome, error };
    const before = this.#counts.get(keyOf(others));
    if (before === undefined) this.#counts.set(keyOf(others), { decision: others, count: 1 });
    else before.count += 1;
    return ended;
  }

  /** The records of a minute that is over; with `isEnd` those of the current one too. */
  flush(nowMs: number, isEnd = false): readonly AuditRecord[] {
    const minute = Math.floor(nowMs / minuteMs);
    if (minute === this.#minute && !isEnd) return [];
    const started = this.#minute * minuteMs;
    const records = [...this.#counts.values()].map(({ decision, count }): AuditRecord => {
      const { edge, outcome, app, instance, verifiedBy, port, error, source } = decision;
      return {
        kind: 'mesh',
        v: 1,
        atMs: Math.trunc(nowMs),
        fields: {
          app,
          client: source,
          count,
          decision: decision.decision,
          edge,
          error,
          instance,
          minute_ms: started,
          outcome,
          port,
          verified_by: verifiedBy,
        },
      };
    });
    this.#counts.clear();
    this.#minute = minute;
    return records;
  }
}

const nobody = {
  app: undefined,
  instance: undefined,
  verifiedBy: undefined,
  port: undefined,
  decision: undefined,
  source: undefined,
} as const;

function keyOf({
  edge,
  outcome,
  app,
  instance,
  port,
  decision,
  error,
  source,
}: MeshDecision): string {
  return [edge, outcome, app, instance, port, decision, error, source].join(' ');
}

import type { Refusal } from '@postern/core/errors';
import type { PendingPolicy, Snapshot } from '@postern/core/state';
import type { Control, Requester } from '../control.ts';

export interface TrialClock {
  /** Calls back once after `ms` unless cleared; never keeps the process alive. */
  after(ms: number, callback: () => void): { clear(): void };
}

export interface TrialOptions {
  readonly control: Control;
  readonly clock: TrialClock;
  /** In whose name a trial ends: the process itself. */
  readonly by: Requester;
  /** Told when a policy was taken back, and when that was not possible: somebody has to look. */
  readonly onRolledBack: (digest: string) => void;
  readonly onAlarm: (message: string) => void;
}

export interface TrialWatch {
  /** Why a trial that is over could not be taken back; undefined where nothing is wrong. */
  alarm(): string | undefined;
  /** Takes back a trial that ended while the process did not run. Before anything is served. */
  settle(): Promise<void>;
}

/** After a failure of the store. The policy that nobody confirmed is in force until then, so it is tried often. */
const retryMs = 1_000;

/** Takes back what nobody confirmed. The deadline is in the state, so that a restart changes nothing about it. */
export function watchTrial(options: TrialOptions, signal: AbortSignal): TrialWatch {
  const { control, clock } = options;
  let timer: { clear(): void } | undefined;
  let waiting: PendingPolicy | undefined;
  let alarm: string | undefined;

  function waitFor(pending: PendingPolicy, ms: number): void {
    timer?.clear();
    timer = clock.after(ms, () => {
      void end(pending);
    });
  }

  async function end(pending: PendingPolicy): Promise<void> {
    if (signal.aborted || control.snapshot().policy.pending !== pending) return;
    const leftMs = pending.deadlineMs - control.system.nowMs();
    if (leftMs > 0) return waitFor(pending, leftMs);
    // The leader does it; this process does once it leads.
    if (control.role().kind === 'follower') return waitFor(pending, retryMs);
    const { digest } = pending;
    const done = await control.execute(
      { kind: 'policy.rollback', expected: digest, cause: 'unconfirmed' },
      options.by,
    );
    if (done.ok) {
      alarm = undefined;
      return options.onRolledBack(digest);
    }
    // Whoever confirmed in the meantime was in time: the writer decided about both in their order.
    if (control.snapshot().policy.pending === undefined) return;
    raise(digest, done.error);
    if (!signal.aborted) waitFor(pending, retryMs);
  }

  function raise(digest: string, why: Refusal): void {
    const message = `Nobody confirmed the policy ${digest.slice(0, 12)}, and it could not be rolled back: ${why.message}`;
    if (alarm !== message) options.onAlarm(message);
    alarm = message;
  }

  control.subscribe(({ policy }: Snapshot) => {
    if (policy.pending === waiting) return;
    waiting = policy.pending;
    timer?.clear();
    if (waiting === undefined) alarm = undefined;
    else waitFor(waiting, Math.max(0, waiting.deadlineMs - control.system.nowMs()));
  }, signal);
  signal.addEventListener('abort', () => timer?.clear(), { once: true });

  return {
    alarm: () => alarm,
    settle: async () => {
      const { pending } = control.snapshot().policy;
      if (pending !== undefined && pending.deadlineMs <= control.system.nowMs()) await end(pending);
    },
  };
}

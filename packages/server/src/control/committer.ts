import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type {
  Author,
  Command,
  Decision,
  JournalRow,
  Snapshot,
  State,
  StateEvent,
} from '@postern/core/state';
import {
  decide,
  entriesOf,
  headOf,
  reduce,
  replay,
  sealRecord,
  snapshotOf,
} from '@postern/core/state';
import { controlLimits } from './limits.ts';
import type { Store, StoreFailure } from './store.ts';
import type { System } from './system.ts';

/** What a command did, once it cannot be lost any more. */
export interface Committed {
  /** A snapshot that has it: whoever waits for this reads its own writes. */
  readonly snapshot: Snapshot;
  /** Empty where what was asked for was so already. */
  readonly events: readonly StateEvent[];
  /** The journal record of the command; absent where it changed nothing. */
  readonly index?: number;
}

export type CommitResult = Result<Committed, Refusal>;

interface Pending {
  readonly command: Command;
  readonly author: Author;
  readonly chars: number;
  readonly settle: (result: CommitResult) => void;
  /** For a defect of ours, which whoever waits must meet as one. */
  readonly fail: (fault: unknown) => void;
}

interface Judged {
  readonly pending: Pending;
  readonly decision: Decision;
  readonly index: number | undefined;
}

/** Whether the store took the last batch; `diverged` never heals, since somebody else writes this journal. */
export type StoreHealth =
  | { readonly kind: 'good' }
  | { readonly kind: 'doubtful' | 'diverged'; readonly why: string };

/**
 * The only writer of the journal. Commands wait in a bounded queue; those that gather while the disk is busy are
 * decided one after another and written as one transaction, and nobody is answered before it is durable, not even
 * whoever was refused because of a command in the same batch.
 */
export class Committer {
  readonly #store: Store;
  readonly #system: System;
  readonly #publish: (snapshot: Snapshot) => void;
  readonly #queue: Pending[] = [];
  #queuedChars = 0;
  #snapshot: Snapshot;
  #health: StoreHealth = { kind: 'good' };
  #materialisedAt: number;
  #turn: Promise<void> = Promise.resolve();
  #running = false;
  #closed = false;

  constructor(options: {
    readonly store: Store;
    readonly system: System;
    readonly snapshot: Snapshot;
    /** Index of the materialised state that the start used. */
    readonly materialisedAt: number;
    readonly publish: (snapshot: Snapshot) => void;
  }) {
    this.#store = options.store;
    this.#system = options.system;
    this.#snapshot = options.snapshot;
    this.#materialisedAt = options.materialisedAt;
    this.#publish = options.publish;
  }

  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  get health(): StoreHealth {
    return this.#health;
  }

  get queued(): number {
    return this.#queue.length;
  }

  execute(command: Command, author: Author): Promise<CommitResult> {
    if (this.#closed) return Promise.resolve(err(refusal('draining', 'Postern is shutting down.')));
    const chars = 'text' in command ? command.text.length : 1_024;
    if (
      this.#queue.length >= controlLimits.queuedMax ||
      this.#queuedChars + chars > controlLimits.queuedCharsMax
    ) {
      const message = `${this.#queue.length} changes wait for the disk already.`;
      return Promise.resolve(err(refusal('overloaded', message, { retryAfterMs: 1_000 })));
    }
    return new Promise((settle, fail) => {
      this.#queue.push({ command, author, chars, settle, fail });
      this.#queuedChars += chars;
      this.#wake();
    });
  }

  /** Asks the store again where its last answer left a doubt. */
  async recover(): Promise<StoreHealth> {
    await this.#exclusively(() => this.#reconcile());
    return this.#health;
  }

  /** Takes up what others have written since: as a follower, and before a new leader decides anything. */
  async catchUp(): Promise<StoreHealth> {
    await this.#exclusively(async () => {
      if (this.#health.kind === 'diverged') return;
      let index = -1;
      while (this.#snapshot.index > index) {
        ({ index } = this.#snapshot);
        this.#health = { kind: 'doubtful', why: 'the store is being read' };
        // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
        await this.#reconcile();
      }
    });
    return this.#health;
  }

  /** Refuses new commands, finishes those that wait, and leaves a materialised state for a fast start. */
  async close(): Promise<void> {
    this.#closed = true;
    while (this.#queue.length > 0 || this.#running) await this.#turn;
    await this.#turn;
    if (this.#snapshot.index > this.#materialisedAt) await this.#store.materialise();
  }

  #wake(): void {
    if (this.#running) return;
    this.#running = true;
    // Commands of the same turn of the event loop share the first batch.
    void this.#exclusively(async () => {
      try {
        while (this.#queue.length > 0) await this.#commitOrFail(this.#nextBatch());
      } finally {
        this.#running = false;
      }
    });
  }

  /** One at a time: batches and recoveries never overlap. */
  #exclusively(work: () => Promise<unknown>): Promise<void> {
    const turn = this.#turn.then(async () => {
      await work();
    });
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  #nextBatch(): readonly Pending[] {
    let count = 0;
    let chars = 0;
    for (const pending of this.#queue) {
      if (count > 0 && chars + pending.chars > controlLimits.batchCharsMax) break;
      if (count === controlLimits.batchMax) break;
      count += 1;
      chars += pending.chars;
    }
    this.#queuedChars -= chars;
    return this.#queue.splice(0, count);
  }

  async #commitOrFail(batch: readonly Pending[]): Promise<void> {
    try {
      await this.#commit(batch);
    } catch (fault) {
      for (const { fail } of batch) fail(fault);
    }
  }

  async #commit(batch: readonly Pending[]): Promise<void> {
    await this.#reconcile();
    if (this.#health.kind !== 'good') return refuseAll(batch, unavailable(this.#health.why));
    const { judged, rows, after } = this.#judge(batch);
    const failure = rows.length === 0 ? undefined : await this.#write(rows, after);
    if (failure !== undefined) return refuseAll(batch, failure);
    for (const { pending, decision, index } of judged) {
      pending.settle(
        decision.ok
          ? ok({
              snapshot: this.#snapshot,
              events: decision.value,
              ...(index === undefined ? {} : { index }),
            })
          : decision,
      );
    }
    await this.#materialiseWhenDue();
  }

  #judge(batch: readonly Pending[]): {
    readonly judged: readonly Judged[];
    readonly rows: readonly JournalRow[];
    readonly after: Snapshot;
  } {
    const { newId, sha256Hex } = this.#system;
    const atMs = this.#system.nowMs();
    let state: State = this.#snapshot;
    let head = headOf(this.#snapshot);
    const rows: JournalRow[] = [];
    const judged = batch.map((pending): Judged => {
      const { command, author } = pending;
      const decision = decide(state, command, { nowMs: atMs, newId, author });
      if (!decision.ok || decision.value.length === 0) {
        return { pending, decision, index: undefined };
      }
      const row = sealRecord(
        head,
        { atMs, actor: author.actor, command: command.kind, events: decision.value },
        sha256Hex,
      );
      state = decision.value.reduce(reduce, state);
      head = { index: row.index, hash: row.hash };
      rows.push(row);
      return { pending, decision, index: row.index };
    });
    return { judged, rows, after: snapshotOf(state, head, atMs) };
  }

  /**
   * Writes a batch and publishes what it makes. A failed write is looked into at once: it may have reached the disk
   * although its acknowledgement did not come.
   */
  async #write(rows: readonly JournalRow[], after: Snapshot): Promise<Refusal | undefined> {
    const appended = await this.#store.append(rows);
    if (appended.ok) {
      this.#advance(after);
      return undefined;
    }
    this.#health = { kind: 'doubtful', why: appended.error.message };
    await this.#reconcile();
    if (this.#snapshot.headHash === after.headHash) return undefined;
    return unavailable(
      this.health.kind === 'good'
        ? `The change was not saved: ${appended.error.message}`
        : `It is not known whether the change was saved: ${appended.error.message}`,
    );
  }

  async #reconcile(): Promise<void> {
    if (this.#health.kind !== 'doubtful') return;
    const read = await this.#store.readAfter(this.#snapshot.index);
    if (!read.ok) {
      this.#health = { kind: 'doubtful', why: read.error.message };
      return;
    }
    const after = replay(this.#snapshot, read.value, this.#system.sha256Hex);
    if (!after.ok) {
      const why = `the journal does not continue at record ${after.error.index}: ${after.error.what}`;
      this.#health = { kind: 'diverged', why };
      return;
    }
    this.#health = { kind: 'good' };
    if (after.value.index > this.#snapshot.index) this.#advance(after.value);
  }

  #advance(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
    this.#publish(snapshot);
  }

  async #materialiseWhenDue(): Promise<void> {
    const { recordsPerMaterialisation, entriesPerRecord } = controlLimits;
    const entries = entriesOf(this.#snapshot);
    const records = Math.max(recordsPerMaterialisation, Math.floor(entries / entriesPerRecord));
    if (this.#snapshot.index < this.#materialisedAt + records) return;
    const done = await this.#store.materialise();
    // A failure costs the next start some time and nothing else; it is tried again after as many records.
    this.#materialisedAt = done.ok ? done.value.index : this.#snapshot.index;
  }
}

function refuseAll(batch: readonly Pending[], why: Refusal): void {
  for (const { settle } of batch) settle(err(why));
}

function unavailable(message: string): Refusal {
  return refusal('state_unavailable', message, { retryAfterMs: 1_000 });
}

export function storeRefusal(failure: StoreFailure): Refusal {
  return refusal('state_unavailable', failure.message, {
    retryAfterMs: 1_000,
    detail: { store: failure.kind },
  });
}

import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { Caller } from '@postern/core/identity';
import type { Author, Command, Snapshot } from '@postern/core/state';
import { decodeState, emptySnapshot, replay, snapshotOf } from '@postern/core/state';
import type { RecordLine } from './audit.ts';
import { outcomeOf } from './audit.ts';
import type { CommitResult, StoreHealth } from './committer.ts';
import { Committer, storeRefusal } from './committer.ts';
import type { Role } from './role.ts';
import { followerRefusal } from './role.ts';
import type { BackupManifest, Loaded, Store, StoreFailure, VerifyReport } from './store.ts';
import type { System } from './system.ts';

export interface ControlOptions {
  readonly store: Store;
  readonly system: System;
  /** Where operations are recorded; must not throw. */
  readonly record?: RecordLine;
  /** Told of a listener that threw: a defect, which must not stop the others. */
  readonly onFault?: (fault: unknown) => void;
  /** Whether this process may write now; absent: nobody else can. */
  readonly role?: () => Role;
}

export interface ControlStatus {
  readonly store: StoreHealth;
  readonly index: number;
  readonly headHash: string;
  readonly keys: number;
  readonly revocations: number;
  /** 0: no configuration was applied yet. */
  readonly generation: number;
  readonly queued: number;
}

/** An author, with the request that the audit line names. */
export interface Requester extends Author {
  readonly requestId?: string;
  /** Who it is, where somebody asked; the process itself has none. */
  readonly caller?: Caller;
  /** The same object for all requests of one connection. */
  readonly connection?: object;
}

/** The control plane: one state, its journal, and the snapshots that the planes read. */
export interface Control {
  readonly system: System;
  readonly record: RecordLine;
  /** The newest published snapshot. */
  snapshot(): Snapshot;
  /** Calls `listener` with the snapshot now and after every commit, until the signal aborts. */
  subscribe(listener: (snapshot: Snapshot) => void, signal: AbortSignal): void;
  /**
   * Carries a command out. Resolves when it is durable and published; a refusal changed nothing, except
   * `state_unavailable`, whose message says whether that is known.
   */
  execute(command: Command, by: Requester): Promise<CommitResult>;
  /** Whether commands are carried out here. */
  role(): Role;
  /** Takes up what others have written since. */
  catchUp(): Promise<StoreHealth>;
  /** Asks the store again if its last answer left a doubt, so that readiness recovers without traffic. */
  status(): Promise<ControlStatus>;
  backup(file: string): Promise<Result<BackupManifest, Refusal>>;
  verify(): Promise<Result<VerifyReport, Refusal>>;
  /** Finishes what waits, then closes the store. */
  close(): Promise<void>;
}

/** Loads the state and starts the writer. Refuses with `state_unavailable` and the reason; the store is closed then. */
export async function createControl(options: ControlOptions): Promise<Result<Control, Refusal>> {
  const { store, system } = options;
  const loaded = await loadState(store, system);
  if (!loaded.ok) {
    await store.close();
    return err(storeRefusal(loaded.error));
  }
  const listeners = new Set<(snapshot: Snapshot) => void>();
  const tell = (listener: (snapshot: Snapshot) => void, snapshot: Snapshot): void => {
    try {
      listener(snapshot);
    } catch (fault) {
      options.onFault?.(fault);
    }
  };
  const committer = new Committer({
    store,
    system,
    ...loaded.value,
    publish: (snapshot) => {
      for (const listener of listeners) tell(listener, snapshot);
    },
  });
  const record = options.record ?? (() => undefined);
  const role = options.role ?? (() => alone);
  return ok({
    system,
    record,
    snapshot: () => committer.snapshot,
    subscribe: (listener, signal) => {
      if (signal.aborted) return;
      listeners.add(listener);
      signal.addEventListener('abort', () => listeners.delete(listener), { once: true });
      tell(listener, committer.snapshot);
    },
    execute: async (command, by) => {
      const mine = role();
      const result =
        mine.kind === 'follower'
          ? err(followerRefusal(mine))
          : await committer.execute(command, by);
      record(lineOf(system.nowMs(), command, by, result));
      return result;
    },
    role,
    catchUp: () => committer.catchUp(),
    status: async () => statusOf(await committer.recover(), committer),
    backup: async (file) => refusedOr(await store.backup(file)),
    verify: async () => refusedOr(await store.verify()),
    close: async () => {
      await committer.close();
      await store.close();
    },
  });
}

const alone: Role = Object.freeze({ kind: 'alone' });

interface LoadedState {
  readonly snapshot: Snapshot;
  readonly materialisedAt: number;
}

/** From the materialised state where it can be read, else from the first record. */
async function loadState(store: Store, system: System): Promise<Result<LoadedState, StoreFailure>> {
  const loaded = await store.load('state');
  if (!loaded.ok) return loaded;
  const start = startOf(loaded.value);
  if (start !== undefined) return catchUp(store, system, loaded.value, start);
  const whole = await store.load('genesis');
  return whole.ok ? catchUp(store, system, whole.value, emptySnapshot()) : whole;
}

function startOf({ state }: Loaded): Snapshot | undefined {
  if (state === undefined) return emptySnapshot();
  const decoded = decodeState(state.body);
  return decoded === undefined ? undefined : snapshotOf(decoded, state.head, state.atMs);
}

async function catchUp(
  store: Store,
  system: System,
  loaded: Loaded,
  start: Snapshot,
): Promise<Result<LoadedState, StoreFailure>> {
  let snapshot = start;
  let { rows } = loaded;
  for (;;) {
    const after = replay(snapshot, rows, system.sha256Hex);
    if (!after.ok) {
      const { index, what } = after.error;
      return err({
        kind: 'corrupt',
        message: `The journal is broken at record ${index}: ${what}. Restore a backup with \`postern restore\`.`,
      });
    }
    snapshot = after.value;
    if (rows.length === 0 || snapshot.index >= loaded.head.index) break;
    const page = await store.readAfter(snapshot.index);
    if (!page.ok) return page;
    rows = page.value;
  }
  if (snapshot.headHash !== loaded.head.hash) {
    return err({
      kind: 'corrupt',
      message: `The journal should end at record ${loaded.head.index}, but ends at ${snapshot.index}. Restore a backup with \`postern restore\`.`,
    });
  }
  return ok({ snapshot, materialisedAt: start.index });
}

function statusOf(store: StoreHealth, committer: Committer): ControlStatus {
  const { snapshot, queued } = committer;
  return {
    store,
    index: snapshot.index,
    headHash: snapshot.headHash,
    keys: snapshot.keysById.size,
    revocations: snapshot.revocationsById.size,
    generation: snapshot.generations[0]?.number ?? 0,
    queued,
  };
}

function lineOf(
  atMs: number,
  command: Command,
  by: Requester,
  result: CommitResult,
): Parameters<RecordLine>[0] {
  const common = {
    atMs,
    operation: command.kind,
    actor: by.actor,
    ...(by.requestId === undefined ? {} : { requestId: by.requestId }),
  };
  if (result.ok) {
    const { index } = result.value;
    return {
      ...common,
      outcome: 'allowed',
      ...(index === undefined ? {} : { journalIndex: index }),
    };
  }
  const { code } = result.error;
  return { ...common, outcome: outcomeOf(code), code };
}

function refusedOr<T>(result: Result<T, StoreFailure>): Result<T, Refusal> {
  if (result.ok) return result;
  const { kind, message } = result.error;
  return kind === 'refused' ? err(refusal('conflict', message)) : err(storeRefusal(result.error));
}

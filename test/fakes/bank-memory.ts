import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Account, BankAnswer } from '@postern/core/quota';
import { applyBankChange } from '@postern/core/quota';
import type {
  AccountRow,
  BankBatch,
  BankFailure,
  SliceBank,
  StaleSlice,
  UsageQuery,
  UsageRow,
  UsageSum,
} from '@postern/server/gateway/money';
import { accountPageRows } from '@postern/server/gateway/money';

/** What outlives the processes that have it open. */
export interface MemoryVault {
  readonly accounts: Map<string, Account>;
  readonly processes: Map<string, { seq: number; seenAtMs: number }>;
  readonly usage: UsageRow[];
  readonly recalls: Map<string, Set<(accounts: readonly string[]) => void>>;
  nowMs: () => number;
  /** Changes fail as this while it is set; `after` fails once the change is in. */
  failure: { readonly kind: BankFailure['kind']; readonly when: 'before' | 'after' } | undefined;
}

export function createMemoryVault(nowMs: () => number = () => Date.now()): MemoryVault {
  return {
    accounts: new Map(),
    processes: new Map(),
    usage: [],
    recalls: new Map(),
    nowMs,
    failure: undefined,
  };
}

/** A bank in memory, with the semantics of a durable one. Any number of processes may open the same vault. */
export function openMemoryBank(vault: MemoryVault): SliceBank {
  return new MemoryBank(vault);
}

class MemoryBank implements SliceBank {
  readonly #vault: MemoryVault;
  #isClosed = false;

  constructor(vault: MemoryVault) {
    this.#vault = vault;
  }

  async change(batch: BankBatch): Promise<Result<readonly BankAnswer[], BankFailure>> {
    await Promise.resolve();
    const failure = this.#isClosed ? closed : this.#failure('before');
    if (failure !== undefined) return err(failure);
    const answers = this.#apply(batch);
    const late = this.#failure('after');
    return late === undefined ? ok(answers) : err(late);
  }

  accounts(query: Parameters<SliceBank['accounts']>[0]): ReturnType<SliceBank['accounts']> {
    return this.#read(() =>
      [...this.#vault.accounts]
        .filter(([account]) => account.startsWith(query.name ?? ''))
        .filter(([account]) => query.names?.includes(account) !== false)
        .filter(([account]) => account > (query.after ?? ''))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, Math.min(query.limit, accountPageRows))
        .map(([account, state]): AccountRow => ({ account, state })),
    );
  }

  usage(query: UsageQuery): ReturnType<SliceBank['usage']> {
    return this.#read(() => sumsOf(this.#vault.usage, query));
  }

  stale(query: Parameters<SliceBank['stale']>[0]): ReturnType<SliceBank['stale']> {
    const { accounts, processes, nowMs } = this.#vault;
    return this.#read(() =>
      [...accounts].flatMap(([account, state]) =>
        state.slices
          .filter(
            ({ id }) =>
              id !== query.process && nowMs() - (processes.get(id)?.seenAtMs ?? 0) >= query.idleMs,
          )
          .map(
            ({ id, granted, settled }): StaleSlice => ({ account, slice: id, granted, settled }),
          ),
      ),
    );
  }

  onRecall(process: string, recall: (accounts: readonly string[]) => void): { close(): void } {
    const listeners = this.#vault.recalls.get(process) ?? new Set();
    this.#vault.recalls.set(process, listeners);
    listeners.add(recall);
    return { close: () => listeners.delete(recall) };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    return Promise.resolve();
  }

  async #read<T>(read: () => T): Promise<Result<T, BankFailure>> {
    await Promise.resolve();
    const failure = this.#isClosed ? closed : this.#failure('before');
    return failure === undefined ? ok(read()) : err(failure);
  }

  #failure(when: 'before' | 'after'): BankFailure | undefined {
    const { failure } = this.#vault;
    return failure?.when === when
      ? { kind: failure.kind, message: 'The bank fails on purpose.' }
      : undefined;
  }

  #apply({ process, seq, changes, usage }: BankBatch): readonly BankAnswer[] {
    const { accounts, processes, nowMs } = this.#vault;
    const isRepeat = (processes.get(process)?.seq ?? 0) >= seq;
    const answers = changes.map((change): BankAnswer => {
      const before = accounts.get(change.account);
      if (isRepeat) {
        const slice = before?.slices.find(({ id }) => id === process);
        return {
          outcome: { kind: 'done' },
          balance: before?.balance ?? 0,
          ...(slice === undefined ? {} : { slice }),
        };
      }
      const { account, answer } = applyBankChange(before, change, nowMs());
      if (account !== undefined) accounts.set(change.account, account);
      if (answer.outcome.kind === 'elsewhere') this.#recall(answer.outcome.slices, change.account);
      return answer;
    });
    if (isRepeat) return answers;
    processes.set(process, { seq, seenAtMs: nowMs() });
    this.#vault.usage.push(...usage);
    return answers;
  }

  #recall(slices: readonly string[], account: string): void {
    for (const id of slices)
      for (const listener of this.#vault.recalls.get(id) ?? [])
        queueMicrotask(() => listener([account]));
  }
}

const closed: BankFailure = { kind: 'closed', message: 'The bank was closed.' };

function sumsOf(rows: readonly UsageRow[], query: UsageQuery): UsageSum[] {
  const sums = new Map<string, UsageSum>();
  for (const row of rows) {
    if (row.hourMs < query.sinceMs || row.hourMs >= (query.untilMs ?? Infinity)) continue;
    if (query.principal !== undefined && row.principal !== query.principal) continue;
    for (const { key, display } of keysOf(row, query.by)) {
      const sum = sums.get(key) ?? { ...empty, key, display };
      sums.set(key, {
        ...sum,
        requests: sum.requests + row.requests,
        estimated: sum.estimated + row.estimated,
        input: sum.input + row.input,
        cacheRead: sum.cacheRead + row.cacheRead,
        cacheWrite: sum.cacheWrite + row.cacheWrite,
        output: sum.output + row.output,
        reasoning: sum.reasoning + row.reasoning,
        cost: sum.cost + row.cost,
        webSearches: sum.webSearches + row.webSearches,
        storageSearches: sum.storageSearches + row.storageSearches,
        inputAudio: sum.inputAudio + row.inputAudio,
        outputAudio: sum.outputAudio + row.outputAudio,
      });
    }
  }
  return [...sums.values()].toSorted((a, b) => b.cost - a.cost || b.requests - a.requests);
}

function keysOf(
  row: UsageRow,
  by: UsageQuery['by'],
): readonly { readonly key: string; readonly display: string }[] {
  if (by === 'user') return [{ key: row.principal, display: row.display }];
  if (by === 'model') return [{ key: row.model, display: row.model }];
  if (by === 'hour') return [{ key: String(row.hourMs), display: '' }];
  return row.accounts.split(' ').map((account) => ({ key: account, display: account }));
}

const empty: UsageSum = {
  key: '',
  display: '',
  requests: 0,
  estimated: 0,
  input: 0,
  cacheRead: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  cost: 0,
  webSearches: 0,
  storageSearches: 0,
  inputAudio: 0,
  outputAudio: 0,
};

import type { Result } from '@postern/core/base';
import type { Account, BankAnswer, BankChange } from '@postern/core/quota';

/** Why a store of money or limits did not answer. It says nothing about the caller: the edge answers 503. */
export interface BankFailure {
  readonly kind: 'unavailable' | 'full' | 'corrupt' | 'closed';
  /** One sentence for the operator: what, why, what to do. */
  readonly message: string;
}

/** What was used in one hour by one payer with one model, paid from the same accounts. Counts add up. */
export interface UsageRow {
  /** The start of the hour, epoch ms. */
  readonly hourMs: number;
  /** `principalKey` of the subject. */
  readonly principal: string;
  /** For people. */
  readonly display: string;
  /** The name that was admitted: an alias or `provider/model`. */
  readonly model: string;
  /** Where it ran: `provider/model`. */
  readonly target: string;
  /** The accounts that paid, sorted, separated by a space; empty where nobody paid. */
  readonly accounts: string;
  readonly requests: number;
  /** Of the requests, those whose usage was counted by us, or whose price was assumed. */
  readonly estimated: number;
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
  /** Nano-USD. */
  readonly cost: number;
  /** Searches that providers ran, each billed by itself. */
  readonly webSearches: number;
  readonly storageSearches: number;
  /** Sound, of `input` with `cacheRead` and of `output`. */
  readonly inputAudio: number;
  readonly outputAudio: number;
}

/** The columns that tell usage rows apart, and those that add up: what a store makes its table from. */
export const usageKeyFields = [
  'hourMs',
  'principal',
  'display',
  'model',
  'target',
  'accounts',
] as const;
export const usageCountFields = [
  'requests',
  'estimated',
  'input',
  'cacheRead',
  'cacheWrite',
  'output',
  'reasoning',
  'cost',
  'webSearches',
  'storageSearches',
  'inputAudio',
  'outputAudio',
] as const;

/** A page of everything that a bank holds, to move it to another one; empty after the last. */
export interface BankPage {
  readonly accounts: readonly AccountRow[];
  readonly usage: readonly UsageRow[];
}

export interface BankBatch {
  /** The process that asks; also the id of its slices. Never used again by another process. */
  readonly process: string;
  /** From 1, rising by one. A batch that comes again changes nothing: each change is answered with what is there. */
  readonly seq: number;
  /** At most `bankBatchChangesMax`, applied in order by `applyBankChange`. */
  readonly changes: readonly BankChange[];
  /** Added to the history. */
  readonly usage: readonly UsageRow[];
}

export interface AccountRow {
  readonly account: string;
  readonly state: Account;
}

export interface AccountsQuery {
  /** Only those whose name is, or starts with, this. */
  readonly name?: string;
  /** Only these, so many as one page has at the most. */
  readonly names?: readonly string[];
  /** Only those behind this name: the last of the page before. */
  readonly after?: string;
  readonly limit: number;
}

export interface StaleQuery {
  readonly process: string;
  readonly idleMs: number;
}

export interface UsageQuery {
  readonly sinceMs: number;
  readonly untilMs?: number;
  /** Only of this principal. */
  readonly principal?: string;
  readonly by: 'user' | 'model' | 'budget' | 'hour';
}

/** A slice whose process has not been heard of for as long as asked. */
export interface StaleSlice {
  readonly account: string;
  readonly slice: string;
  readonly granted: number;
  readonly settled: number;
}

/**
 * Where money and its history are kept, durably. Each account changes in one transaction, so that of requests side by side, in one
 * process or in several, no two can have the same money. Nothing here is asked on the way of an ordinary request: a process leases slices
 * ahead and spends them from memory.
 */
export interface SliceBank {
  /**
   * All changes, the usage and the batch's number in one transaction; resolves only when they survive a loss of power. The store's own clock
   * counts, so that processes agree on what time it is. An outcome `elsewhere` also asks the slices that it names to give back what
   * lies idle. A batch also says that the process lives.
   */
  change(batch: BankBatch): Promise<Result<readonly BankAnswer[], BankFailure>>;
  /** A page of accounts as of now, refills of the past not yet put in, in order of their names; fewer than `limit` are the last. */
  accounts(query: AccountsQuery): Promise<Result<readonly AccountRow[], BankFailure>>;
  /** Rows added up by what is asked, in order of cost, the dearest first. */
  usage(query: UsageQuery): Promise<Result<readonly UsageSum[], BankFailure>>;
  /** Slices of processes other than this one that no batch came from for so long, however many accounts there are. */
  stale(query: StaleQuery): Promise<Result<readonly StaleSlice[], BankFailure>>;
  /** Calls back when others need what lies idle in this process's slices; best effort, the process also looks by itself. */
  onRecall(process: string, recall: (accounts: readonly string[]) => void): { close(): void };
  /** Lets go of it. Afterwards every call fails as `closed`. */
  close(): Promise<void>;
}

/** What usage comes to, for one user, model, budget account or hour. */
export interface UsageSum {
  /** The principal, the model, the account or the hour (epoch ms); empty for what no budget paid. */
  readonly key: string;
  readonly display: string;
  readonly requests: number;
  readonly estimated: number;
  readonly input: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly output: number;
  readonly reasoning: number;
  readonly cost: number;
  readonly webSearches: number;
  readonly storageSearches: number;
  readonly inputAudio: number;
  readonly outputAudio: number;
}

/** Changes of one batch: one transaction stays in the milliseconds. */
export const bankBatchChangesMax = 1_024;
/** Rows of one answer: a list for people and for one page of the API. */
export const usageSumsMax = 10_000;
/** Accounts in one page: reading and sending them holds nobody else up for long. */
export const accountPageRows = 1_000;

import { assert } from '@postern/core/base';
import type { Account, BankAnswer } from '@postern/core/quota';
import { applyBankChange } from '@postern/core/quota';
import type { Database, Statement } from 'better-sqlite3';
import type {
  AccountRow,
  AccountsQuery,
  BankBatch,
  BankPage,
  StaleQuery,
  StaleSlice,
  UsageQuery,
  UsageRow,
  UsageSum,
} from '../../gateway/money/bank.ts';
import { accountPageRows, bankBatchChangesMax, usageSumsMax } from '../../gateway/money/bank.ts';

const sums = `sum(requests) AS requests, sum(estimated) AS estimated, sum(input) AS input,
  sum(cache_read) AS cacheRead, sum(cache_write) AS cacheWrite, sum(output) AS output,
  sum(reasoning) AS reasoning, sum(cost) AS cost, sum(web_searches) AS webSearches,
  sum(storage_searches) AS storageSearches, sum(input_audio) AS inputAudio, sum(output_audio) AS outputAudio`;
const within = `WHERE hour_ms >= @sinceMs AND hour_ms < @untilMs
  AND (@principal IS NULL OR principal = @principal)`;
const ordered = 'ORDER BY sum(cost) DESC, sum(requests) DESC LIMIT @limit';

/** What usage is added up by. Accounts are a list in one column: each of them gets the whole sum. */
const usageBy: Readonly<Record<UsageQuery['by'], string>> = {
  user: `SELECT principal AS key, max(display) AS display, ${sums} FROM money_usage ${within} GROUP BY principal ${ordered}`,
  model: `SELECT model AS key, model AS display, ${sums} FROM money_usage ${within} GROUP BY model ${ordered}`,
  hour: `SELECT CAST(hour_ms AS TEXT) AS key, '' AS display, ${sums} FROM money_usage ${within} GROUP BY hour_ms ${ordered}`,
  budget: `SELECT part.value AS key, part.value AS display, ${sums}
    FROM money_usage, json_each('["' || replace(accounts, ' ', '","') || '"]') AS part
    ${within} GROUP BY part.value ${ordered}`,
};

/** Rows of each table in one page of a move. */
const pageRows = 1_000;

/** How long the number of a process's last batch is kept after it: far longer than any answer can be under way. */
const processKeptMs = 7 * 86_400_000;

/** The accounts, the processes and the history in an open database: every statement prepared once, all values bound. */
export class MoneyEngine {
  readonly #db: Database;
  readonly #read: Statement<[string]>;
  readonly #write: Statement<[string, string]>;
  readonly #seq: Statement<[string]>;
  readonly #seen: Statement<[string, number, number]>;
  readonly #add: Statement;
  readonly #forget: Statement<[number]>;

  constructor(db: Database) {
    this.#db = db;
    this.#read = db.prepare('SELECT state FROM money_account WHERE account = ?').pluck();
    this.#write = db.prepare('INSERT OR REPLACE INTO money_account (account, state) VALUES (?, ?)');
    this.#seq = db.prepare('SELECT seq FROM money_process WHERE process = ?').pluck();
    this.#seen = db.prepare(
      'INSERT OR REPLACE INTO money_process (process, seq, seen_at_ms) VALUES (?, ?, ?)',
    );
    this.#forget = db.prepare('DELETE FROM money_process WHERE seen_at_ms < ?');
    this.#add = db.prepare(`INSERT INTO money_usage VALUES (@hourMs, @principal, @display, @model,
      @target, @accounts, @requests, @estimated, @input, @cacheRead, @cacheWrite, @output, @reasoning, @cost,
      @webSearches, @storageSearches, @inputAudio, @outputAudio)
      ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
      estimated = estimated + excluded.estimated, input = input + excluded.input,
      cache_read = cache_read + excluded.cache_read, cache_write = cache_write + excluded.cache_write,
      output = output + excluded.output, reasoning = reasoning + excluded.reasoning,
      cost = cost + excluded.cost, web_searches = web_searches + excluded.web_searches,
      storage_searches = storage_searches + excluded.storage_searches,
      input_audio = input_audio + excluded.input_audio, output_audio = output_audio + excluded.output_audio`);
  }

  change(batch: BankBatch, nowMs: number): readonly BankAnswer[] {
    assert(batch.changes.length <= bankBatchChangesMax, 'a batch is bounded');
    return this.#db.transaction(() => this.#apply(batch, nowMs)).immediate();
  }

  #apply({ process, seq, changes, usage }: BankBatch, nowMs: number): readonly BankAnswer[] {
    const isRepeat = Number(this.#seq.get(process) ?? 0) >= seq;
    const answers = changes.map((change): BankAnswer => {
      const before = this.#account(change.account);
      if (isRepeat) return repeated(before, process);
      const { account, answer } = applyBankChange(before, change, nowMs);
      if (account !== undefined && account !== before)
        this.#write.run(change.account, JSON.stringify(account));
      return answer;
    });
    if (isRepeat) return answers;
    for (const row of usage) this.#add.run(row satisfies UsageRow);
    if (seq === 1) this.#forget.run(nowMs - processKeptMs);
    this.#seen.run(process, seq, nowMs);
    return answers;
  }

  accounts({ name = '', names, after = '', limit }: AccountsQuery): readonly AccountRow[] {
    const only = names === undefined ? '' : 'AND account IN (SELECT value FROM json_each(@names))';
    const rows = this.#db
      .prepare(
        `SELECT account, state FROM money_account
        WHERE account > @after AND substr(account, 1, length(@name)) = @name ${only}
        ORDER BY account LIMIT @limit`,
      )
      .all({
        name,
        after,
        limit: Math.min(limit, accountPageRows),
        ...(names === undefined ? {} : { names: JSON.stringify(names) }),
      });
    return rows.map(accountRowOf);
  }

  usage({ sinceMs, untilMs, principal, by }: UsageQuery): readonly UsageSum[] {
    const rows = this.#db.prepare(usageBy[by]).all({
      sinceMs,
      untilMs: untilMs ?? Number.MAX_SAFE_INTEGER,
      principal: principal ?? null,
      limit: usageSumsMax,
    });
    // The columns are those of the statement, in a STRICT table.
    return rows as UsageSum[];
  }

  stale({ process, idleMs }: StaleQuery, nowMs: number): readonly StaleSlice[] {
    const seen = new Map(
      this.#db
        .prepare('SELECT process, seen_at_ms FROM money_process')
        .raw()
        .all()
        // The columns are those selected, in a STRICT table.
        .map((row) => row as [string, number]),
    );
    const found: StaleSlice[] = [];
    // Most accounts of the past have no slice: those are not even parsed.
    const rows = this.#db
      .prepare(
        `SELECT account, state FROM money_account WHERE instr(state, '"slices":[]') = 0 ORDER BY account`,
      )
      .iterate();
    for (const row of rows) {
      const { account, state } = accountRowOf(row);
      for (const { id, granted, settled } of state.slices)
        if (id !== process && nowMs - (seen.get(id) ?? 0) >= idleMs)
          found.push({ account, slice: id, granted, settled });
    }
    return found;
  }

  /** A page of every account and of the whole history, for a move. */
  page(page: number): BankPage {
    const at = { limit: pageRows, offset: page * pageRows };
    const accounts = this.#db
      .prepare(
        'SELECT account, state FROM money_account ORDER BY account LIMIT @limit OFFSET @offset',
      )
      .all(at);
    const usage = this.#db
      .prepare(
        `SELECT hour_ms AS hourMs, principal, display, model, target, accounts, requests, estimated, input,
          cache_read AS cacheRead, cache_write AS cacheWrite, output, reasoning, cost, web_searches AS webSearches,
          storage_searches AS storageSearches, input_audio AS inputAudio, output_audio AS outputAudio
         FROM money_usage ORDER BY hour_ms, principal, display, model, target, accounts
         LIMIT @limit OFFSET @offset`,
      )
      .all(at);
    return {
      accounts: accounts.map(accountRowOf),
      // The columns are those of the statement, in a STRICT table.
      usage: usage as UsageRow[],
    };
  }

  #account(name: string): Account | undefined {
    const text = this.#read.get(name);
    return typeof text === 'string' ? accountOf(text) : undefined;
  }
}

function repeated(account: Account | undefined, process: string): BankAnswer {
  const slice = account?.slices.find(({ id }) => id === process);
  return {
    outcome: { kind: 'done' },
    balance: account?.balance ?? 0,
    ...(slice === undefined ? {} : { slice }),
  };
}

function accountRowOf(raw: unknown): AccountRow {
  // The columns are those selected, in a STRICT table.
  const { account, state } = raw as { readonly account: string; readonly state: string };
  return { account, state: accountOf(state) };
}

function accountOf(text: string): Account {
  // Written by this class alone, from a value of this type.
  return JSON.parse(text) as Account;
}

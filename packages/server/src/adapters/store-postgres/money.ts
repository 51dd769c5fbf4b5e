import { assert } from '@postern/core/base';
import type { Account, BankAnswer, BankChange } from '@postern/core/quota';
import { applyBankChange } from '@postern/core/quota';
import type { RawBuilder, Transaction } from 'kysely';
import { sql } from 'kysely';
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
import {
  accountPageRows,
  bankBatchChangesMax,
  usageCountFields,
  usageKeyFields,
  usageSumsMax,
} from '../../gateway/money/bank.ts';
import type { Database } from './database.ts';
import { sha256Hex } from './journal.ts';
import { postgresLimits } from './limits.ts';
import type { Tables } from './tables.ts';

export const recallChannel = 'postern_recall';

/** In the order of `usageKeyFields` and `usageCountFields`. */
const usageColumns = [
  'hour_ms',
  'principal',
  'display',
  'model',
  'target',
  'accounts',
  'requests',
  'estimated',
  'input',
  'cache_read',
  'cache_write',
  'output',
  'reasoning',
  'cost',
  'web_searches',
  'storage_searches',
  'input_audio',
  'output_audio',
] as const;

/** What usage is added up by. Accounts are a list in one column: each of them gets the whole sum. */
const usageKeys: Readonly<
  Record<
    UsageQuery['by'],
    {
      readonly key: RawBuilder<unknown>;
      readonly display: RawBuilder<unknown>;
      readonly group: RawBuilder<unknown>;
    }
  >
> = {
  user: { key: sql`principal`, display: sql`max(display)`, group: sql`principal` },
  model: { key: sql`model`, display: sql`model`, group: sql`model` },
  hour: { key: sql`hour_ms::text`, display: sql`''`, group: sql`hour_ms` },
  budget: { key: sql`part`, display: sql`part`, group: sql`part` },
};

/** The accounts, the processes and the history in PostgreSQL. The server's clock counts. */
export class Money {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  change(batch: BankBatch): Promise<readonly BankAnswer[]> {
    assert(batch.changes.length <= bankBatchChangesMax, 'a batch is bounded');
    return this.#database.transaction((trx) => applyIn(trx, batch));
  }

  async accounts(query: AccountsQuery): Promise<readonly AccountRow[]> {
    const { name = '', names, after = '', limit } = query;
    const only = names === undefined ? sql`` : sql`AND account = ANY(${[...names]}::text[])`;
    const { rows } = await sql<{ account: string; state: string }>`
      SELECT account, state FROM postern.money_account
      WHERE state IS NOT NULL AND account > ${after} AND starts_with(account, ${name}) ${only}
      ORDER BY account LIMIT ${Math.min(limit, accountPageRows)}`.execute(this.#database.db);
    return rows.map(({ account, state }) => ({ account, state: accountOf(state) }));
  }

  async usage({ sinceMs, untilMs, principal, by }: UsageQuery): Promise<readonly UsageSum[]> {
    const { key, display, group } = usageKeys[by];
    // An empty text would have no parts; what no budget paid is a sum of its own.
    const parts =
      by === 'budget'
        ? sql`, unnest(CASE accounts WHEN '' THEN ARRAY[''] ELSE string_to_array(accounts, ' ') END) AS part`
        : sql``;
    const only = principal === undefined ? sql`` : sql`AND principal = ${principal}`;
    const { rows } = await sql<UsageSum>`
      SELECT ${key} AS key, ${display} AS display, sum(requests)::bigint AS requests,
        sum(estimated)::bigint AS estimated, sum(input)::bigint AS input,
        sum(cache_read)::bigint AS "cacheRead", sum(cache_write)::bigint AS "cacheWrite",
        sum(output)::bigint AS output, sum(reasoning)::bigint AS reasoning, sum(cost)::bigint AS cost,
        sum(web_searches)::bigint AS "webSearches", sum(storage_searches)::bigint AS "storageSearches",
        sum(input_audio)::bigint AS "inputAudio", sum(output_audio)::bigint AS "outputAudio"
      FROM postern.money_usage ${parts}
      WHERE hour_ms >= ${sinceMs} AND hour_ms < ${untilMs ?? Number.MAX_SAFE_INTEGER} ${only}
      GROUP BY ${group}
      ORDER BY sum(cost) DESC, sum(requests) DESC LIMIT ${usageSumsMax}`.execute(this.#database.db);
    return rows;
  }

  async stale({ process, idleMs }: StaleQuery): Promise<readonly StaleSlice[]> {
    // The slices first: the sign of life that came with a slice is then seen, whoever leases in between.
    const slices = await this.#slices();
    const { rows: alive } = await sql<{ process: string }>`
      SELECT process FROM postern.money_process
      WHERE postern.now_ms() - seen_at_ms < ${idleMs}`.execute(this.#database.db);
    const living = new Set(alive.map((row) => row.process));
    return slices.filter(({ slice }) => slice !== process && !living.has(slice));
  }

  /** Of all accounts, page by page. Most accounts of the past have no slice: those stay where they are. */
  async #slices(): Promise<readonly StaleSlice[]> {
    const found: StaleSlice[] = [];
    for (let after = ''; ; ) {
      // oxlint-disable-next-line no-await-in-loop -- a page begins where the one before it ended
      const { rows } = await sql<{ account: string; state: string }>`
        SELECT account, state FROM postern.money_account
        WHERE account > ${after} AND strpos(state, '"slices":[]') = 0
        ORDER BY account LIMIT ${accountPageRows}`.execute(this.#database.db);
      for (const { account, state } of rows)
        for (const { id, granted, settled } of accountOf(state).slices)
          found.push({ account, slice: id, granted, settled });
      const last = rows.at(-1);
      if (last === undefined || rows.length < accountPageRows) return found;
      after = last.account;
    }
  }
}

/**
 * Takes over what another store held, all of it or nothing, and only where no money is yet. Slices of its processes move along: whoever
 * sweeps ends them. Returns how many accounts came.
 */
export function moveInto(
  database: Database,
  pages: () => AsyncIterable<BankPage>,
): Promise<number> {
  return database.transaction(async (trx) => {
    await sql`LOCK TABLE postern.money_account, postern.money_usage IN EXCLUSIVE MODE`.execute(trx);
    const found = await sql<{ is: boolean }>`SELECT EXISTS (SELECT FROM postern.money_account)
      OR EXISTS (SELECT FROM postern.money_usage) AS is`.execute(trx);
    if (found.rows[0]?.is === true) return 0;
    let count = 0;
    for await (const { accounts, usage } of pages()) {
      const states = accounts.map(({ state }) => JSON.stringify(state));
      await sql`INSERT INTO postern.money_account
        SELECT * FROM unnest(${accounts.map(({ account }) => account)}::text[], ${states}::text[])`.execute(
        trx,
      );
      await addUsage(trx, usage);
      count += accounts.length;
    }
    return count;
  });
}

async function applyIn(
  trx: Transaction<Tables>,
  { process, seq, changes, usage }: BankBatch,
): Promise<readonly BankAnswer[]> {
  // Takes the process's row: a batch that comes again waits for the one before it, wherever that got stuck.
  const seen = await sql<{ seq: number }>`
    INSERT INTO postern.money_process AS p VALUES (${process}, 0, postern.now_ms())
    ON CONFLICT (process) DO UPDATE SET seen_at_ms = postern.now_ms() RETURNING p.seq`.execute(trx);
  const isRepeat = (seen.rows[0]?.seq ?? 0) >= seq;
  const accounts = await lockAccounts(trx, changes);
  // After the locks: of two transactions on one account the later one has the later time.
  const clock = await sql<{ ms: number }>`SELECT postern.now_ms() AS ms`.execute(trx);
  const nowMs = clock.rows[0]?.ms ?? 0;
  const changed = new Map<string, Account>();
  const recalls = new Map<string, Set<string>>();
  const answers = changes.map((change): BankAnswer => {
    const before = accounts.get(change.account);
    if (isRepeat) return repeated(before, process);
    const { account, answer } = applyBankChange(before, change, nowMs);
    if (account !== undefined && account !== before) {
      accounts.set(change.account, account);
      changed.set(change.account, account);
    }
    if (answer.outcome.kind === 'elsewhere') {
      for (const slice of answer.outcome.slices)
        recalls.set(slice, (recalls.get(slice) ?? new Set()).add(change.account));
    }
    return answer;
  });
  if (isRepeat) return answers;
  await writeAccounts(trx, changed);
  await addUsage(trx, usage);
  await sql`UPDATE postern.money_process SET seq = ${seq} WHERE process = ${process}`.execute(trx);
  if (seq === 1)
    await sql`DELETE FROM postern.money_process
      WHERE seen_at_ms < ${nowMs - postgresLimits.processKeptMs}`.execute(trx);
  await tell(trx, recalls);
  return answers;
}

/** The accounts of a batch, locked until the commit, in one order for everybody. A lease or credit makes room for one that is not there. */
async function lockAccounts(
  trx: Transaction<Tables>,
  changes: readonly BankChange[],
): Promise<Map<string, Account>> {
  const names = [...new Set(changes.map(({ account }) => account))].toSorted();
  if (names.length === 0) return new Map();
  const read = async (): Promise<Map<string, string | null>> => {
    const { rows } = await sql<Tables['money_account']>`
      SELECT account, state FROM postern.money_account WHERE account = ANY(${names}::text[])
      ORDER BY account FOR UPDATE`.execute(trx);
    return new Map(rows.map(({ account, state }) => [account, state]));
  };
  let found = await read();
  const opening = new Set(
    changes.flatMap(({ kind, account }) =>
      (kind === 'lease' || kind === 'credit') && !found.has(account) ? [account] : [],
    ),
  );
  if (opening.size > 0) {
    await sql`INSERT INTO postern.money_account
      SELECT * FROM unnest(${[...opening].toSorted()}::text[], ${[...opening].map(() => null)}::text[]) AS row(account, state)
      ORDER BY account ON CONFLICT DO NOTHING`.execute(trx);
    found = await read();
  }
  return new Map(
    [...found].flatMap(([account, state]) => (state === null ? [] : [[account, accountOf(state)]])),
  );
}

async function writeAccounts(
  trx: Transaction<Tables>,
  changed: ReadonlyMap<string, Account>,
): Promise<void> {
  if (changed.size === 0) return;
  const states = [...changed.values()].map((account) => JSON.stringify(account));
  await sql`UPDATE postern.money_account AS a SET state = row.state
    FROM unnest(${[...changed.keys()]}::text[], ${states}::text[]) AS row(account, state)
    WHERE a.account = row.account`.execute(trx);
}

async function addUsage(trx: Transaction<Tables>, usage: readonly UsageRow[]): Promise<void> {
  if (usage.length === 0) return;
  const rows = [...merged(usage)];
  const digests = rows.map(([digest]) => digest);
  const columns = [...usageKeyFields, ...usageCountFields].map((field) => {
    const values = rows.map(([, row]) => row[field]);
    return typeof values[0] === 'string' ? sql`${values}::text[]` : sql`${values}::bigint[]`;
  });
  const names = usageColumns.map((column) => sql.ref(column));
  const sums = names
    .slice(usageKeyFields.length)
    .map((column) => sql`${column} = u.${column} + excluded.${column}`);
  await sql`INSERT INTO postern.money_usage AS u (digest, ${sql.join(names)})
    SELECT * FROM unnest(${digests}::text[], ${sql.join(columns)})
    ON CONFLICT (digest) DO UPDATE SET ${sql.join(sums)}`.execute(trx);
}

/** One statement cannot add to the same row twice. */
function merged(usage: readonly UsageRow[]): ReadonlyMap<string, UsageRow> {
  const rows = new Map<string, UsageRow>();
  for (const row of usage) {
    const digest = sha256Hex(JSON.stringify(usageKeyFields.map((field) => row[field])));
    const before = rows.get(digest);
    rows.set(digest, before === undefined ? row : added(before, row));
  }
  // In one order for everybody, so that two batches do not wait for each other.
  return new Map([...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function added(before: UsageRow, row: UsageRow): UsageRow {
  const counts = usageCountFields.map((field) => [field, before[field] + row[field]]);
  // The fields are those of the counts, all of them numbers.
  return { ...before, ...(Object.fromEntries(counts) as Partial<UsageRow>) };
}

/** Asks the processes of slices for what lies idle; they hear it once this is committed. */
async function tell(
  trx: Transaction<Tables>,
  recalls: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<void> {
  for (const [process, accounts] of recalls) {
    const payload = JSON.stringify({ process, accounts: [...accounts] });
    // Too many at once: the processes also look by themselves.
    if (Buffer.byteLength(payload) > postgresLimits.payloadBytesMax) continue;
    // oxlint-disable-next-line no-await-in-loop -- a connection does one thing at a time
    await sql`SELECT pg_notify(${recallChannel}, ${payload})`.execute(trx);
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

function accountOf(text: string): Account {
  // Written by this file alone, from a value of this type.
  return JSON.parse(text) as Account;
}

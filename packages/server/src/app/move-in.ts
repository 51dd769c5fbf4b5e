import type { Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { SqliteStore } from '../adapters/store-sqlite/index.ts';
import type { PostgresStore } from '../adapters/store-postgres/index.ts';
import type { StoreFailure } from '../control/index.ts';
import type { BankPage } from '../gateway/money/index.ts';
import type { StoresOptions } from './store-set.ts';

/**
 * The state of this folder becomes the shared one, where that has no record yet: first the money and the history of use in one
 * transaction, then the journal with keys, policy and configuration. A move that was cut off goes on with the next start.
 */
export async function moveIn(
  own: SqliteStore,
  shared: PostgresStore,
  { logger, stateDir }: Pick<StoresOptions, 'logger' | 'stateDir'>,
): Promise<Result<void, StoreFailure>> {
  const there = await shared.load('state');
  if (!there.ok) return there;
  const here = await own.load('state');
  if (!here.ok) return here;
  const { index, hash } = here.value.head;
  const { head } = there.value;
  if (index === 0 || head.hash === hash || shared.role().kind !== 'leader') return ok(undefined);
  const isBegun = await begins(own, head);
  if (!isBegun.ok) return isBegun;
  if (!isBegun.value) {
    logger.info({ stateDir, records: index }, 'the journal of the state folder is not used');
    return ok(undefined);
  }
  const money = await shared.moveMoney(() => pagesOf(own));
  if (!money.ok) return money;
  let at = head.index;
  while (at < index) {
    // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
    const rows = await own.readAfter(at);
    if (!rows.ok) return rows;
    const last = rows.value.at(-1);
    if (last === undefined) break;
    // oxlint-disable-next-line no-await-in-loop -- each page continues the one before
    const appended = await shared.append(rows.value);
    if (!appended.ok) return appended;
    at = last.index;
  }
  logger.warn(
    { stateDir, records: at, accounts: money.value },
    'the journal and the money of the state folder were copied to PostgreSQL, which was empty; from now on they are there',
  );
  return ok(undefined);
}

/** Whether our journal begins with everything that is there: nothing at all, or what an earlier move had come to. */
async function begins(
  own: SqliteStore,
  head: { readonly index: number; readonly hash: string },
): Promise<Result<boolean, StoreFailure>> {
  if (head.index === 0) return ok(true);
  const rows = await own.readAfter(head.index - 1);
  return rows.ok ? ok(rows.value[0]?.hash === head.hash) : rows;
}

async function* pagesOf(own: SqliteStore): AsyncGenerator<BankPage> {
  for (let page = 0; ; page += 1) {
    // oxlint-disable-next-line no-await-in-loop -- a page at a time
    const read = await own.moneyPage(page);
    // Ends the transaction; whoever moves gets the failure of it.
    if (!read.ok) throw new Error(read.error.message);
    if (read.value.accounts.length === 0 && read.value.usage.length === 0) return;
    yield read.value;
  }
}

import type { JsonObject, JsonValue } from '@postern/core/base';
import { nanoUsdOf } from '@postern/core/price';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import type { Io } from '../output/io.ts';
import { shown, table } from '../output/table.ts';
import { itemsOf } from './usage.ts';

export const show: Run = async ({ args, io }) => {
  const listed = await clientFor(io).json({ method: 'GET', path: '/api/v1/budgets' });
  if (!listed.ok) {
    io.err(listed.error.message);
    return listed.error.exit;
  }
  const name = args['budget'];
  const items = itemsOf(listed.value).filter(
    (item) => name === undefined || item['budget'] === name || item['account'] === name,
  );
  if (name !== undefined && items.length === 0) {
    io.err(
      `There is no budget "${name}", or nobody has used it yet. All of them: postern budget show`,
    );
    return exitCodes.failed;
  }
  print(io, items);
  return exitCodes.ok;
};

export const refill: Run = async ({ args, options, io }) => {
  const usd = options['usd'];
  const amount = typeof usd === 'string' ? nanoUsdOf(usd) : undefined;
  if (amount?.ok === false) {
    io.err(`--usd: ${amount.error}`);
    return exitCodes.usage;
  }
  const body: Record<string, JsonValue> = {
    account: args['budget'] ?? '',
    ...(typeof usd === 'string' ? { usd } : {}),
  };
  const done = await clientFor(io).json({ method: 'POST', path: '/api/v1/budgets/refill', body });
  if (!done.ok) {
    io.err(done.error.message);
    return done.error.exit;
  }
  print(io, itemsOf(done.value));
  return exitCodes.ok;
};

function print(io: Io, items: readonly JsonObject[]): void {
  if (io.json) io.outJson(items);
  else if (items.length === 0)
    io.out('There are no budgets. The configuration names them under "budgets".');
  else {
    const columns = items.some((item) => item['refilled_usd'] !== '0.00')
      ? [...always, refilled]
      : always;
    io.out(
      table(
        columns.map(([name]) => name),
        items.map((item) => columns.map(([, field]) => shown(item[field]))),
      ),
    );
  }
}

const always: readonly (readonly [name: string, field: string])[] = [
  ['account', 'account'],
  ['capacity', 'capacity_usd'],
  ['every', 'every'],
  ['left', 'remaining_usd'],
  ['held', 'held_usd'],
  ['spent', 'spent_usd'],
  ['lost', 'lost_usd'],
];
/** Without it, capacity is not what is left, spent and lost together. */
const refilled = ['refilled', 'refilled_usd'] as const;

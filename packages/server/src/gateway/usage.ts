import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { principalKey } from '@postern/core/identity';
import { listedNames } from '@postern/core/routing';
import { ratesOf, slotsOf, storeRefusal } from './money/limiter.ts';
import type { LimitTerm } from './money/terms.ts';
import type { Step } from './pipeline.ts';
import type { GatewayMoney, GatewayView } from './view.ts';
import type { Identified } from './stages.ts';

/** How far back a caller's own use is added up. */
const daysShown = 30;
const dayMs = 86_400_000;
/** Names whose grants are asked for what they charge: callers see a few hundred at the most. */
const namesMax = 200;

/** `GET /v1/usage`: the caller's own limits, balances and use; nobody else's. */
export function usageStep(): Step {
  return async (stage) => {
    const { money } = stage.view;
    const body = money === undefined ? ok(uncounted) : await usageOf(stage, money);
    if (!body.ok) return body;
    stage.reply.send(
      200,
      { 'content-type': 'application/json', 'cache-control': 'no-store' },
      JSON.stringify(body.value),
    );
    return ok(undefined);
  };
}

const uncounted = { object: 'usage', limits: [], budgets: [], use: { models: [] } };

async function usageOf(
  { caller, view }: Identified,
  money: GatewayMoney,
): Promise<Result<unknown, Refusal>> {
  const granted = chargesOf(caller, view);
  // What does not fit the caller is told when they call; here they see what does.
  const terms = money.terms.of(caller, granted, view.access);
  const { accounts, limits } = terms.ok ? terms.value : { accounts: [], limits: [] };
  const sinceMs = money.nowMs() - daysShown * dayMs;
  const names = accounts.map(({ account }) => account);
  const [balances, models, rooms] = await Promise.all([
    money.desk.accounts(names),
    money.desk.usage({ by: 'model', sinceMs, principal: principalKey(caller.subject) }),
    limitViews(limits, money),
  ]);
  if (!balances.ok) return err(storeRefusal(balances.error));
  if (!models.ok) return err(storeRefusal(models.error));
  if (!rooms.ok) return rooms;
  const shown = new Map(balances.value.map((each) => [each.account, each]));
  return ok({
    object: 'usage',
    principal: principalKey(caller.subject),
    limits: rooms.value,
    budgets: accounts.map(
      (paid) =>
        shown.get(paid.account) ?? {
          ...money.desk.unused(paid),
          unused: true,
          capacity_nano_usd: paid.budget.capacity,
        },
    ),
    use: { since: new Date(sinceMs).toISOString(), models: models.value },
  });
}

/** Limits and budgets that the grants of any model charge to this caller. */
function chargesOf(
  caller: Identified['caller'],
  { catalog, access }: GatewayView,
): { readonly limits: readonly string[]; readonly budgets: readonly string[] } {
  const limits = new Set<string>();
  const budgets = new Set<string>();
  for (const { name } of listedNames(catalog).slice(0, namesMax)) {
    const decision = access.decide({
      caller,
      model: name,
      dialect: 'openai-chat',
      maxOutputTokens: undefined,
      attested: true,
    });
    if (!decision.allowed) continue;
    for (const each of decision.limits ?? []) limits.add(each);
    for (const each of decision.budgets ?? []) budgets.add(each);
  }
  return { limits: [...limits], budgets: [...budgets] };
}

async function limitViews(
  terms: readonly LimitTerm[],
  { limits }: GatewayMoney,
): Promise<Result<readonly unknown[], Refusal>> {
  if (terms.length === 0) return ok([]);
  const looked = await limits.look(ratesOf(terms, 0), slotsOf(terms));
  if (!looked.ok) return err(storeRefusal(looked.error));
  const rooms = new Map(looked.value.rooms.map((room) => [room.key, room]));
  const inUse = new Map(slotsOf(terms).map(({ key }, i) => [key, looked.value.inUse[i] ?? 0]));
  return ok(
    terms.map((term) => {
      const rate = (kind: 'requests' | 'tokens'): unknown => {
        const limit = term[kind];
        const room = rooms.get(`${term.key} ${kind}`);
        if (limit === undefined || room === undefined) return undefined;
        return { per_minute: limit.units, remaining: room.remaining, reset_ms: room.resetMs };
      };
      return {
        limit: term.name,
        requests: rate('requests'),
        tokens: rate('tokens'),
        concurrent:
          term.concurrent === undefined
            ? undefined
            : { limit: term.concurrent, in_use: inUse.get(`${term.key} slots`) ?? 0 },
      };
    }),
  );
}

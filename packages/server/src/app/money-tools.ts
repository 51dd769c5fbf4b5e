import type { Result } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import type { MoneyTools } from '../control/api/index.ts';
import type { BankFailure, MoneyDesk } from '../gateway/money/index.ts';
import { storeRefusal } from '../gateway/money/index.ts';

/** The desk of the configuration in force, as the admin API asks it. */
export function moneyTools(desk: () => MoneyDesk | undefined): MoneyTools {
  const now = (): MoneyDesk => present(desk(), 'every deployment has its desk');
  return {
    accounts: async () => told(await now().accounts()),
    usage: async (query) => told(await now().usage(query)),
    credit: async (account, amount) => {
      const done = await now().credit(account, amount);
      if (done.ok) return ok(done.value);
      const { error } = done;
      if ('message' in error) return err(storeRefusal(error));
      if (error.kind === 'no-budget')
        return err(
          refusal('not_found', `There is no budget or account "${account}" that was used so far.`, {
            param: 'account',
          }),
        );
      return err(
        refusal('invalid_request', 'The account cannot hold that much.', { param: 'usd' }),
      );
    },
  };
}

function told<T>(result: Result<T, BankFailure>): Result<T, Refusal> {
  return result.ok ? result : err(storeRefusal(result.error));
}

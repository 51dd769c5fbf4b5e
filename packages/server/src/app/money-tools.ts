import type { Result } from '@postern/core/base';
import { err, ok, present } from '@postern/core/base';
import type { Refusal } from '@postern/core/errors';
import { refusal } from '@postern/core/errors';
import { accountPrefix } from '@postern/core/quota';
import type { MoneyTools } from '../control/api/index.ts';
import type { BankFailure, CreditFault, MoneyDesk } from '../gateway/money/index.ts';
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
      return err(creditRefusal(account, error));
    },
  };
}

function creditRefusal(account: string, fault: CreditFault): Refusal {
  const unfound = (message: string): Refusal => refusal('not_found', message, { param: 'account' });
  switch (fault.kind) {
    case 'bad-amount':
      return refusal('invalid_request', 'The account cannot hold that much.', { param: 'usd' });
    case 'no-budget':
      return unfound(
        `There is no budget for "${account}" in the configuration; postern budget show lists them all.`,
      );
    case 'unused':
      return unfound(
        `Nobody has used "${account}" so far: it is full, and opened when it is used.`,
      );
    case 'no-account': {
      const { name, per } = fault.budget;
      return unfound(
        per === 'all'
          ? `There is no account "${account}": all share budget "${name}"; fill up "${name}".`
          : `There is no account "${account}": accounts of budget "${name}" are named "${accountPrefix(fault.budget)}ID"; postern budget show ${name} lists them.`,
      );
    }
  }
}

function told<T>(result: Result<T, BankFailure>): Result<T, Refusal> {
  return result.ok ? result : err(storeRefusal(result.error));
}

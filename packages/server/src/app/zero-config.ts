import type { Result } from '@postern/core/base';
import { err, ok } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { defaultConfig } from '@postern/core/contract/defaults';
import type { Egress } from '../http/index.ts';
import type { Logger } from '../observe/index.ts';
import { parseAddress } from './addresses.ts';
import { localBudget, localTag } from './builtin-policy.ts';
import type { Detected } from './detect.ts';
import { detectProviders } from './detect.ts';
import type { Settings } from './settings.ts';

export const gatewayPort = 8_080;

/** The port on which we answer ourselves: no model server is looked for there. */
export function ownPort(settings: Settings): number {
  const text = settings.addresses.gateway?.text;
  const parsed = text === undefined ? undefined : parseAddress(text);
  return parsed?.ok === true ? (parsed.value[0]?.port ?? gatewayPort) : gatewayPort;
}

/** What this machine and its variables offer; what was named but cannot be used is one line each. */
export async function detect(
  settings: Settings,
  egress: Egress,
  logger: Logger,
): Promise<readonly Detected[]> {
  const found = await detectProviders({ env: settings.env, egress, ownPort: ownPort(settings) });
  for (const problem of found.problems) logger.warn({ problem }, 'provider not usable');
  return found.detected;
}

/** What the local operator and their keys may spend in a day, US dollars, where no variable says otherwise. */
const localUsdDefault = '1';

/** The configuration of a start without a file; the built-in policy grants by it. Err: a variable that says nothing. */
export function zeroConfig(
  detected: readonly Detected[],
  env: Settings['env'],
): Result<Config, string> {
  const given = env['POSTERN_LOCAL_BUDGET'];
  const usd = given === undefined || given === '' ? localUsdDefault : given;
  if (!/^\d{1,6}(?:\.\d{1,9})?$/.test(usd)) {
    return err(`POSTERN_LOCAL_BUDGET: "${usd}" is not an amount of US dollars such as 2.50.`);
  }
  return ok({
    ...defaultConfig,
    providers: Object.fromEntries(detected.map(({ id, config }) => [id, config])),
    identities: {
      issuers: [],
      map: [
        { local: true, as: [localTag] },
        { key: '*', as: [localTag] },
      ],
    },
    budgets: { [localBudget]: { usd, every: 'day', refill: 'boundary', per: 'all' } },
  });
}

import type { Place } from '@postern/core/price';
import { siteOf } from '@postern/core/price';
import { defaultName } from '@postern/core/routing';
import { printable } from './printable.ts';
import type { Running } from '@postern/server/app/start';

/** What `up` says when it is ready: where it listens, what it serves and the line to paste next. */
export function banner(running: Running): string {
  const deployment = running.deployment();
  const gateway = running.listeners.filter(({ kind }) => kind === 'gateway');
  const port = gateway[0]?.port ?? 0;
  const lines = ['Postern is up.', ''];
  for (const { kind, address } of running.listeners) lines.push(`  ${kind.padEnd(15)} ${address}`);
  for (const line of running.skipped) lines.push(`  skipped         ${line}`);
  lines.push(
    '',
    `  configuration   ${running.configFile ?? 'none: what was found on this machine'}`,
    '',
    'Models:',
  );
  for (const state of deployment.catalog.states()) {
    lines.push(`  ${state.provider.padEnd(15)} ${printable(modelWords(state, deployment))}`);
  }
  const model = defaultName(deployment.catalog.current());
  lines.push('', `Without a model name, ${printable(model)} answers. Try:`, '');
  lines.push(`  curl -s 127.0.0.1:${port}/ask -d '{"prompt":"I am worried about my build"}'`, '');
  lines.push(...accessWords(running));
  return lines.join('\n');
}

/** Who may call, where that is not plain: with a configuration file only whom the policy grants it. */
function accessWords(running: Running): readonly string[] {
  if (running.authority() === 'none') {
    return [
      '  No policy is in force: nobody may call anything. Write policy.hujson beside the configuration, then:',
      '  postern policy apply',
      '',
    ];
  }
  if (running.configFile === undefined) return moneyWords(running);
  if (running.deployment().config.trustLoopback) return [];
  return [
    '  With a configuration file, callers need a grant of the policy and a key: postern key create NAME',
    '',
  ];
}

/** Without a configuration file: what may be spent in a day, and whose price is only assumed. */
function moneyWords(running: Running): readonly string[] {
  const { detected } = running;
  const [budget] = Object.values(running.deployment().config.budgets);
  const sites = detected.map(({ id, config }) => ({ id, site: siteOf(placeOf(config)).kind }));
  if (budget === undefined || sites.every(({ site }) => site === 'self-hosted')) return [];
  const unpriced = sites.filter(({ site }) => site === 'unlisted').map(({ id }) => id);
  const lines = [
    `  Models that cost money have ${budget.usd} USD a ${budget.every} together (POSTERN_LOCAL_BUDGET); postern budget show tells what is left.`,
  ];
  if (unpriced.length > 0)
    lines.push(
      `  Nobody states what ${printable(unpriced.join(', '))} costs: unless it proves to be a machine of yours, it counts at the highest price known,`,
      '  and answers are cut to what that leaves. "prices" in a configuration file says what it really costs.',
    );
  return [...lines, ''];
}

function placeOf(config: Running['detected'][number]['config']): Place {
  const { kind } = config;
  return 'baseUrl' in config ? { kind, baseUrl: config.baseUrl } : { kind };
}

const namesShown = 4;

type Deployment = ReturnType<Running['deployment']>;

function modelWords(
  state: ReturnType<Deployment['catalog']['states']>[number],
  { config }: Deployment,
): string {
  if (state.problem !== undefined) return `not listed: ${state.problem.message}`;
  const names = state.models.map(({ id }) => id);
  const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
  if (names.length > 0) return `${names.slice(0, namesShown).join(', ')}${more} (${state.place})`;
  const provider = config.providers[state.provider];
  const isFixed = provider?.kind !== 'builtin' && provider?.models !== undefined;
  if (isFixed) return `any name, sent on to ${state.place}`;
  return state.listedAtMs === undefined
    ? `not listed yet (${state.place})`
    : `none now (${state.place})`;
}

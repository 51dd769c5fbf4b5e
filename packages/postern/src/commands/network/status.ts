import type { JsonObject } from '@postern/core/base';
import type { Run } from '../../command.ts';
import { shown } from '../../output/table.ts';
import { answered, facts, object, objects, text, texts } from './answer.ts';
import { waitingTable } from './node-words.ts';

export const run: Run = (invocation) =>
  answered(invocation, { method: 'GET', path: '/api/v1/network' }, page);

function page(status: JsonObject): string {
  const engine = object(status['engine']);
  const kind = text(engine['kind']);
  if (kind !== '' && kind !== 'embedded') return outsidePage(status, engine);
  if (status['running'] !== true) return 'There is no network. Start one: postern up --url URL';
  const waiting = objects(status['waiting_for_sign_in']);
  const known = facts([
    ['url', text(status['url'])],
    ['names end in', text(status['base_domain'])],
    ['addresses', `${text(status['ipv4'])}, ${text(status['ipv6'])}`],
    ['relay', text(status['relay']) || 'none of its own'],
    ['control key', text(status['control_key'])],
    ['served', status['serves'] === false ? 'by another gateway (postern status)' : 'here'],
    ['machines', `${shown(status['nodes'])}, ${shown(status['online'])} online`],
    ['people', shown(status['users'])],
    ['policy', policyWords(status['policy_version'])],
    ['waiting', waitingWords(status, waiting.length)],
    ['gateway', gatewayWords(status['gateway'])],
  ]);
  return waiting.length === 0 ? known : `${known}\n\n${waitingTable(waiting)}`;
}

function policyWords(version: JsonObject[string] | undefined): string {
  return version === 0 || version === undefined
    ? 'none: no machine reaches another. Write one: postern policy apply'
    : `version ${shown(version)}`;
}

function waitingWords(status: JsonObject, asking: number): string {
  const nodes = status['waiting_for_approval'];
  const joined = typeof nodes === 'number' ? nodes : 0;
  if (joined + asking === 0) return 'nothing';
  return `${joined} for approval, ${asking} at their sign-in page (postern node list --waiting)`;
}

/** How the gateway itself is on the network. */
function gatewayWords(value: JsonObject[string] | undefined): string {
  if (value === undefined) return '';
  const gateway = object(value);
  const addresses = texts(gateway['addresses']);
  const at = addresses.length === 0 ? '' : ` at ${addresses.join(', ')}`;
  const problem = text(gateway['problem']);
  return `${text(gateway['state'])}${at}${problem === '' ? '' : `: ${problem}`}`;
}

/** An engine that others run. */
function outsidePage(status: JsonObject, engine: JsonObject): string {
  const version = text(engine['version']);
  const said = version === '' ? '' : ` ${version}`;
  return facts([
    ['engine', `${text(engine['kind'])}${said}`],
    ['url', text(status['url'])],
    ['problem', text(engine['problem'])],
    ...(status['running'] === true
      ? ([
          ['machines', `${shown(status['nodes'])}, ${shown(status['online'])} online`],
          ['people', shown(status['users'])],
          ['waiting', waitingWords(status, 0)],
        ] as const)
      : []),
    ['policy', policyWords(status['policy_version'])],
    ['at the engine', syncWords(object(engine['policy']))],
    ['gateway', gatewayWords(status['gateway'])],
    ['can', texts(engine['capabilities']).join(', ')],
  ]);
}

function syncWords(sync: JsonObject): string {
  const problem = text(sync['problem']);
  if (problem !== '') return problem;
  return text(sync['state']) === 'same'
    ? 'the same'
    : 'its own: none was applied here yet (postern network policy shows it)';
}

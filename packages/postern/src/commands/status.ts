import type { JsonObject, JsonValue } from '@postern/core/base';
import { isJsonObject } from '@postern/core/base';
import { clientFor } from '../client/index.ts';
import type { Run } from '../command.ts';
import { exitCodes } from '../command.ts';
import { authorityWords } from '../output/authority.ts';
import { shown, table } from '../output/table.ts';
import { ago } from '../output/when.ts';

export const run: Run = async ({ io }) => {
  const client = clientFor(io);
  const runtime = await client.json({ method: 'GET', path: '/api/v1/runtime' });
  const state = runtime.ok ? await client.json({ method: 'GET', path: '/api/v1/status' }) : runtime;
  if (!runtime.ok || !state.ok) {
    const problem = runtime.ok ? state : runtime;
    if (!problem.ok) io.err(problem.error.message);
    return problem.ok ? exitCodes.failed : problem.error.exit;
  }
  if (io.json) io.outJson({ runtime: runtime.value, state: state.value });
  else io.out(page(object(runtime.value), object(state.value)));
  return exitCodes.ok;
};

function object(value: JsonValue | undefined): JsonObject {
  return value !== undefined && isJsonObject(value) ? value : {};
}

function objects(value: JsonValue | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(object) : [];
}

function page(runtime: JsonObject, state: JsonObject): string {
  const started = ago(shown(runtime['started_at']), Date.now());
  return [
    `Postern ${shown(runtime['version'])} on Node ${shown(runtime['node'])}, started ${started}, ${readyText(runtime)}`,
    `configuration  ${typeof runtime['config_file'] === 'string' ? `${runtime['config_file']} (generation ${shown(state['config_generation'])})` : 'none'}`,
    `state          ${shown(runtime['state_dir'])}: ${shown(state['store'])}, ${shown(state['journal_index'])} records, ${shown(state['keys'])} keys`,
    ...roleLines(runtime),
    `default model  ${shown(runtime['default_model'])}`,
    `access         decided by: ${decider(state)}`,
    '',
    table(
      ['listener', 'address', 'connections'],
      objects(runtime['listeners']).map((each) => [
        shown(each['kind']),
        shown(each['address']),
        shown(each['connections']),
      ]),
    ),
    '',
    table(['provider', 'place', 'models', 'state'], objects(runtime['providers']).map(providerRow)),
  ].join('\n');
}

function readyText({ ready, unready }: JsonObject): string {
  if (ready === true) return 'ready';
  const reasons = Array.isArray(unready) ? unready.map(shown) : [];
  return `not ready: ${reasons.map((each) => each.replace(/\.$/, '')).join('; ')}`;
}

/** Which of several gateways this one is; nothing where there is one. */
function roleLines(runtime: JsonObject): readonly string[] {
  const { name, role, leader } = runtime;
  if (role === 'leader') return [`gateway        ${shown(name)} leads: changes are made here`];
  if (role !== 'follower') return [];
  const who = typeof leader === 'string' ? `${leader} leads: changes are made there` : 'no leader';
  return [`gateway        ${shown(name)} follows; ${who}`];
}

/** The policy in force, the built-in one, or nothing: one of them decides, never two. */
function decider(state: JsonObject): string {
  const {
    authority,
    policy_version: version,
    policy_trial_until: trial,
    policy_alarm: alarm,
  } = state;
  const name = authorityWords(authority);
  const which = version === 0 ? name : `${name} version ${shown(version)}`;
  const until = typeof trial === 'string' ? `, on trial until ${trial}` : '';
  return `${which}${until}${typeof alarm === 'string' ? `; ALARM: ${alarm}` : ''}`;
}

function providerRow(provider: JsonObject): readonly string[] {
  const problem = provider['problem'];
  const places = objects(provider['places'])
    .map(placeText)
    .filter((text) => text !== 'ready');
  return [
    shown(provider['id']),
    shown(provider['place']),
    shown(provider['models']),
    [...places, ...(typeof problem === 'string' ? [problem] : [])].join('; ') || 'good',
  ];
}

/** `asleep`, `ready, 3 waiting`, `ready, breaker open: m`; just `ready` where there is nothing to say. */
function placeText(place: JsonObject): string {
  const at = typeof place['endpoint'] === 'string' ? `${place['endpoint']} ` : '';
  const waiting = place['queued'] === 0 ? [] : [`${shown(place['queued'])} waiting`];
  const breakers = objects(place['breakers']).map(
    (breaker) => `breaker ${shown(breaker['state'])}: ${shown(breaker['model'])}`,
  );
  const said = [shown(place['state']), ...waiting, ...breakers].join(', ');
  return said === 'ready' ? said : `${at}${said}`;
}

import { isJsonObject } from '@postern/core/base';
import type { JsonObject } from '@postern/core/base';
import { fail, note, pass, unknown } from '../finding/index.ts';
import type { CheckFacts, SshHost } from './facts.ts';
import type { CheckLine } from './line.ts';
import { days, dayMs, known } from './line.ts';

const nodeKeyDaysMin = 14;

/** Lines about the private network and its policy. */
export const networkLines: readonly CheckLine[] = [
  {
    id: 'mesh-running',
    list: 'network',
    title: 'The private network runs here',
    why: 'Without it callers and model servers meet on some other network, or not at all.',
    next: 'tailscale up, or let Postern coordinate one: postern up --url https://vpn.example.com --join',
    severity: 'high',
    judge: judgeMesh,
  },
  {
    id: 'node-keys',
    list: 'network',
    title: `Keys of machines live for at least ${nodeKeyDaysMin} days more`,
    why: 'A machine whose key ends drops off the network, and with it what it serves.',
    next: 'tailscale up --force-reauth on that machine; a server’s key need not end: postern node show NAME',
    severity: 'medium',
    judge: judgeNodeKeys,
  },
  {
    id: 'funnel-off',
    list: 'network',
    title: 'Funnel gives nothing to the internet that the configuration does not know of',
    why: 'Funnel makes a service of this machine public with one command, past every listener rule.',
    next: 'tailscale funnel reset',
    severity: 'high',
    judge: ({ daemon, config }) =>
      known(daemon, (found) => {
        const funnels = found?.funnels ?? [];
        if (funnels.length === 0) return pass('Funnel is off.');
        return config.publicEdge?.funnel === true
          ? pass('Funnel is on, and publicEdge.funnel says so.', ...funnels)
          : fail('Funnel is on.', ...funnels);
      }),
  },
  {
    id: 'ssh-by-key',
    list: 'own',
    title:
      'Machines that are operated by SSH take keys alone, and show the host key that was pinned',
    why: 'A password can be guessed from anywhere that reaches the port, and an unknown host key may be anybody’s.',
    next: 'postern deploy ssh --windows|--macos|--linux on the machine, and --trust on this one',
    severity: 'medium',
    judge: ({ ssh }) => {
      const broken = (ssh ?? []).flatMap(sshFaults);
      if (broken.length > 0) return fail('SSH is not as it should be.', ...broken);
      return ssh === undefined
        ? note('No machine was named: postern check --ssh HOST,HOST')
        : pass(`${ssh.length} machines take a key and nothing else.`);
    },
  },
  {
    id: 'names-not-addresses',
    list: 'network',
    title: 'Endpoints have names, and every name resolves',
    why: 'An address that somebody wrote down belongs to another machine tomorrow.',
    next: 'Write the MagicDNS or internal DNS name of the machine in `providers`, or follow the registry with `discover`',
    severity: 'low',
    judge: judgeNames,
  },
  {
    id: 'policy-in-force',
    list: 'own',
    title: 'A policy decides who may call what',
    why: 'Without one nobody may call anything, or the built-in one for a single person counts.',
    next: 'postern policy apply',
    severity: 'medium',
    judge: ({ authority, configText }) => {
      if (authority === 'policy') return pass('A policy is in force.');
      if (authority === 'built-in' && configText === undefined)
        return pass('The built-in policy decides: this machine has one user.');
      return fail('No policy is in force: nobody may call anything.');
    },
  },
  {
    id: 'policy-applied',
    list: 'own',
    title: 'The policy file is what is in force',
    why: 'People read the file and believe that it counts.',
    next: 'postern policy plan, then: postern policy apply',
    severity: 'low',
    judge: ({ drift }) =>
      known(drift, (why) =>
        why === undefined ? pass('File and policy in force say the same.') : fail(why),
      ),
  },
  {
    id: 'policy-width',
    list: 'hygiene',
    title: 'No rule gives everything to everybody',
    why: 'A rule with * on both sides is a network without rules.',
    next: 'postern policy check names the line; name groups and tags instead of *',
    severity: 'high',
    judge: judgeWidth,
  },
  {
    id: 'device-posture',
    list: 'hygiene',
    title: 'What is sensitive asks for the posture of the device',
    why: 'A laptop without disk encryption or updates is where keys are stolen.',
    next: 'Add `postures` and `srcPosture` (or `defaultSrcPosture`) to the policy: docs/howto/policy.md',
    severity: 'low',
    judge: judgePosture,
  },
];

function judgeMesh({ daemon, engine }: CheckFacts): ReturnType<CheckLine['judge']> {
  return known(daemon, (found) => {
    if (found === undefined && engine !== undefined)
      return pass('The embedded engine coordinates a network.', engine.url);
    if (found === undefined) return fail('There is no tailscaled, and no engine runs here.');
    return found.state === 'Running'
      ? pass('tailscaled runs.', `state ${found.state}`)
      : fail(`tailscaled is there, but it is not connected.`, `state ${found.state}`);
  });
}

function judgeNodeKeys({ daemon, snapshot, nowMs }: CheckFacts): ReturnType<CheckLine['judge']> {
  return known(daemon, (found) => {
    const own =
      found?.keyExpiresAtMs === undefined
        ? []
        : [{ name: 'this machine', expiresAtMs: found.keyExpiresAtMs }];
    const others = [...snapshot.network.nodesById.values()].flatMap(({ name, keyExpiresAtMs }) =>
      keyExpiresAtMs === undefined || keyExpiresAtMs <= nowMs
        ? []
        : [{ name, expiresAtMs: keyExpiresAtMs }],
    );
    const soon = [...own, ...others]
      .filter(({ expiresAtMs }) => expiresAtMs - nowMs < nodeKeyDaysMin * dayMs)
      .map(({ name, expiresAtMs }) => `${name}: ${days(expiresAtMs - nowMs)} left`);
    return soon.length > 0
      ? fail('Keys of machines are about to end.', ...soon)
      : pass(`${own.length + others.length} keys that end, none of them soon.`);
  });
}

function judgeNames({ places }: CheckFacts): ReturnType<CheckLine['judge']> {
  const literal = places.filter(({ isLiteral }) => isLiteral);
  if (literal.length > 0)
    return fail(
      'The configuration has addresses where names should be.',
      ...literal.map(({ provider, host }) => `${provider}: ${host}`),
    );
  const lost = places.filter(({ addresses }) => !addresses.ok);
  const names = places.map(({ provider, host }) => `${provider}: ${host}`);
  return lost.length > 0
    ? unknown('A name does not resolve here.', ...lost.map(({ host }) => host))
    : pass(`${places.length} endpoints, all by names that resolve.`, ...names);
}

function rulesOf(
  policy: JsonObject,
): readonly { readonly at: string; readonly rule: JsonObject }[] {
  return ['acls', 'grants'].flatMap((section) => {
    const rules = policy[section];
    return Array.isArray(rules)
      ? rules.flatMap((rule, index) =>
          isJsonObject(rule) ? [{ at: `${section}[${index}]`, rule }] : [],
        )
      : [];
  });
}

function judgeWidth({ policy }: CheckFacts): ReturnType<CheckLine['judge']> {
  if (policy === undefined) return pass('There is no policy that could be too wide.');
  const isAny = (list: unknown): boolean =>
    Array.isArray(list) && list.some((each) => each === '*' || each === '*:*');
  const rules = rulesOf(policy);
  const wide = rules.filter(({ rule }) => isAny(rule['src']) && isAny(rule['dst']));
  return wide.length > 0
    ? fail('Rules open everything to everybody.', ...wide.map(({ at }) => at))
    : pass(`${rules.length} rules, none of them from * to *.`);
}

function judgePosture({ policy }: CheckFacts): ReturnType<CheckLine['judge']> {
  if (policy === undefined) return pass('There is no policy in which a posture could stand.');
  const byDefault = policy['defaultSrcPosture'];
  if (Array.isArray(byDefault) && byDefault.length > 0)
    return pass('Every rule asks for a posture by default.');
  const asking = rulesOf(policy).filter(({ rule }) => Array.isArray(rule['srcPosture']));
  return asking.length > 0
    ? pass(`${asking.length} rules ask for a posture.`, ...asking.map(({ at }) => at))
    : fail('No rule asks for a posture.');
}

function sshFaults({ host, pinned, logsIn, offers }: SshHost): readonly string[] {
  if (offers.length === 0) return [`${host} does not answer`];
  const others = offers.filter((each) => each !== 'publickey' && each !== 'none');
  return [
    ...(pinned ? [] : [`the host key of ${host} is not pinned`]),
    ...(others.length === 0 ? [] : [`${host} also takes ${others.join(', ')}`]),
    ...(logsIn ? [] : [`${host} does not take the key of whoever asks`]),
  ];
}

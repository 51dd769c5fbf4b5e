import { err, isJsonObject, ok } from '@postern/core/base';
import {
  formatAddr,
  nextAddr,
  parseAddr,
  parsePrefixOrAddr,
  prefixContains,
  rangeOfPrefix,
  unmap,
} from '@postern/core/base/netip';
import type { Prefix } from '@postern/core/base/netip';
import { policyDigest } from '@postern/core/state';
import { addressTarget, blockTarget } from '../../control/index.ts';
import { reachOfPolicy } from '../../control/policy/index.ts';
import type { InferencePlace } from '../check/index.ts';
import { isExposed } from '../check/index.ts';
import type { StepRun } from './step.ts';

/** Listeners of other processes follow the state; those of this one do so within a moment. */
const shutMsMax = 5_000;
const pollMs = 50;

/** Nobody from beyond the private network gets in, and nobody on it gets to inference but the gateway. */
export async function isolate(run: StepRun): Promise<void> {
  const { ports, scribe, by, request } = run;
  const { control, doors } = ports;
  const scope = request.target ?? 'all';
  const before = await scribe.see('exposed sockets', () => exposedWords(run));
  const wasOpen = await scribe.see('answers from outside', () => outsideWords(run, before));
  const funnels = await doors.funnels();
  await scribe.act('shut what is reached from beyond the private network', async () => {
    const done = await control.execute(
      { kind: 'isolation.set', scope, reason: request.reason },
      by,
    );
    if (!done.ok) return err(done.error.message);
    await until(run, async () => (await exposedWords(run)) === none);
    return ok('isolated; it ends with: postern incident lift-isolation');
  });
  if (funnels.ok && funnels.value.length > 0) {
    await scribe.act('turn Funnel off', async () => {
      const off = await doors.funnelOff();
      return off.ok ? ok(`off: ${off.value.join(', ')}`) : off;
    });
  } else scribe.none('turn Funnel off', funnels.ok ? 'it is off' : funnels.error);
  const places = await inferenceOf(run, scope);
  await narrowPolicy(run, places);
  scribe.next(
    'Security groups and firewalls in front of this machine are not ours to change. AWS: aws ec2 revoke-security-group-ingress --group-id SG --ip-permissions …; then: postern check',
  );
  if (scribe.isDryRun) return;
  const after = await exposedWords(run);
  scribe.prove('sockets that are reached from outside', before, after, after === none);
  const open = await outsideWords(run, before);
  scribe.prove('connections to outside addresses of this machine', wasOpen, open, open === none);
  const on = await doors.funnels();
  if (on.ok) scribe.prove('Funnel', funnelWords(funnels), funnelWords(on), on.value.length === 0);
  if (places.length > 0) {
    const others = await othersWords(run, places);
    scribe.prove('who reaches inference beside the gateway', '', others, others === none);
  }
}

const none = 'none';

function funnelWords(
  funnels: { ok: true; value: readonly string[] } | { ok: false; error: string },
): string {
  if (!funnels.ok) return funnels.error;
  return funnels.value.length === 0 ? none : funnels.value.join(', ');
}

/** The coordination server is not among them: machines could not leave the network if they could not ask it. */
async function exposedWords({ ports }: StepRun): Promise<string> {
  const sockets = await ports.doors.sockets();
  if (!sockets.ok) return `unknown: ${sockets.error}`;
  const kinds = new Map(ports.doors.listeners().map(({ port, kind }) => [port, kind]));
  const open = sockets.value.filter(
    ({ host, port }) => isExposed(host) && kinds.get(port) !== 'coordination',
  );
  return open.length === 0 ? none : open.map(({ host, port }) => `${host}:${port}`).join(', ');
}

/** Tries the ports that were exposed at every outside address of this machine. */
async function outsideWords({ ports }: StepRun, exposed: string): Promise<string> {
  const portsTried = [...exposed.matchAll(/:(\d+)(?:,|$)/g)].map(([, port]) => Number(port));
  const answering: string[] = [];
  for (const host of ports.doors.outsideAddresses()) {
    for (const port of portsTried) {
      // oxlint-disable-next-line no-await-in-loop -- a handful of addresses and ports
      if (await ports.doors.answers(host, port)) answering.push(`${host}:${port}`);
    }
  }
  return answering.length === 0 ? none : answering.join(', ');
}

async function inferenceOf({ ports }: StepRun, scope: string): Promise<readonly InferencePlace[]> {
  const nodes = new Set(
    ports.policy.ports.inventory().nodes.flatMap(({ addresses }) => addresses.map(formatAddr)),
  );
  return (await ports.places()).filter(
    ({ provider, addresses }) =>
      (scope === 'all' || provider === scope) &&
      addresses.ok &&
      addresses.value.some((address) => nodes.has(address)),
  );
}

/**
 * Takes every rule away that leads to inference and puts one in that leads there from the gateway alone. The policy
 * engine says which rules those are, not their spelling.
 */
async function narrowPolicy(run: StepRun, places: readonly InferencePlace[]): Promise<void> {
  const { ports, scribe, by, request } = run;
  const what = 'narrow the policy to gateway → inference';
  if (places.length === 0) {
    scribe.none(what, 'no inference endpoint is on a network that is coordinated here');
    return;
  }
  const { control } = ports;
  await scribe.act(what, async () => {
    const current = control.snapshot().policy.versions[0];
    if (current === undefined) return ok('no policy is in force: nobody reaches anything');
    const text = await narrowed(run, current.text, places);
    if (!text.ok) return text;
    const { policyHash } = await import('@postern/core/policy/change');
    const { sha256OfBytes } = await import('../../control/policy/assess.ts');
    const digest = policyHash(text.value, { sha256Hex: sha256OfBytes(control.system.sha256Hex) });
    await ports.policy.ports.prepare();
    const done = await control.execute(
      {
        kind: 'policy.apply',
        text: text.value,
        digest,
        base: policyDigest(control.snapshot().policy),
        // Nothing is opened by it; what it takes away comes back by a rollback.
        risk: 'medium',
        note: `incident: ${request.reason}`.slice(0, 500),
      },
      by,
    );
    return done.ok
      ? ok(`version ${current.number} is replaced; back with: postern policy rollback`)
      : err(done.error.message);
  });
}

async function narrowed(
  { ports }: StepRun,
  text: string,
  places: readonly InferencePlace[],
): Promise<ReturnType<typeof ok<string>> | ReturnType<typeof err<string>>> {
  const targets = places.flatMap(({ addresses }) => (addresses.ok ? addresses.value : []));
  const rules = new Set<string>();
  for (const target of targets) {
    // oxlint-disable-next-line no-await-in-loop -- a handful of endpoints
    const reach = await reachOfPolicy(ports.policy, { text, to: target });
    if (!reach.ok) return err(reach.error.message);
    for (const row of reach.value.rows) {
      if (row.network !== 'nothing') for (const rule of row.rules) rules.add(placeOf(rule));
    }
  }
  const { parseDocument } = await import('@postern/core/base/hujson');
  const parsed = parseDocument(text);
  const policy = parsed.ok ? parsed.value.plain.value : undefined;
  if (policy === undefined || !isJsonObject(policy))
    return err('the policy in force cannot be read');
  const kept = (section: string): readonly unknown[] => {
    const list = policy[section];
    return Array.isArray(list)
      ? list.filter((_rule, index) => !rules.has(`${section}[${index}]`))
      : [];
  };
  const tests = isJsonObject(policy) ? { ...policy } : {};
  // Tests of the file speak for access that is taken away on purpose.
  delete tests['tests'];
  delete tests['sshTests'];
  const tagOwners = isJsonObject(policy['tagOwners']) ? policy['tagOwners'] : {};
  return ok(
    `${JSON.stringify(
      {
        ...tests,
        tagOwners: { 'tag:gateway': [], ...tagOwners },
        ...(policy['acls'] === undefined ? {} : { acls: kept('acls') }),
        grants: [
          ...kept('grants'),
          {
            src: ['tag:gateway'],
            dst: targets,
            ip: [...new Set(places.map(({ port }) => `tcp:${port}`))],
          },
        ],
      },
      undefined,
      2,
    )}\n`,
  );
}

/** `grants[3] (line 12)` without its line. */
function placeOf(rule: string): string {
  return rule.replace(/ \(line \d+\)$/, '');
}

async function othersWords({ ports }: StepRun, places: readonly InferencePlace[]): Promise<string> {
  const ours = new Set(ports.gatewayNames());
  const others: string[] = [];
  for (const { addresses } of places) {
    for (const target of addresses.ok ? addresses.value : []) {
      // oxlint-disable-next-line no-await-in-loop -- a handful of endpoints
      const reach = await reachOfPolicy(ports.policy, { to: target });
      if (!reach.ok) return reach.error.message;
      for (const { sources, network } of reach.value.rows) {
        if (network === 'nothing') continue;
        others.push(...sources.filter((source) => !ours.has(source)));
      }
    }
  }
  return others.length === 0 ? none : others.join(', ');
}

async function until({ ports }: StepRun, isSo: () => Promise<boolean>): Promise<void> {
  const { nowMs } = ports.control.system;
  const began = nowMs();
  while (!(await isSo()) && nowMs() - began < shutMsMax) {
    // oxlint-disable-next-line no-await-in-loop -- asked again until it is so
    await ports.sleep(pollMs);
  }
}

/** Keeps an address or a prefix out. Whoever asks is not kept out by mistake. */
export async function blockIp(run: StepRun): Promise<void> {
  const { ports, scribe, by, request } = run;
  const { control, doors } = ports;
  const text = request.address ?? '';
  const target = addressTarget(text);
  const prefix = parsePrefixOrAddr(text);
  if (!target.ok || !prefix.ok || target.value.by !== 'address') {
    scribe.prove('an address', text, 'it is no address and no prefix', false);
    return;
  }
  const own = request.ownAddress === undefined ? undefined : parseAddr(request.ownAddress);
  if (
    own?.ok === true &&
    prefixContains(prefix.value, unmap(own.value)) &&
    request.force !== true
  ) {
    const words = `${request.ownAddress} is where you come from`;
    scribe.prove(
      'your own way in stays open',
      words,
      'refused; --force blocks it all the same',
      false,
    );
    return;
  }
  const kept = target.value;
  const before = await scribe.see('connections', () => `${doors.openFrom(kept.prefix)} open`);
  await scribe.act(`block ${kept.prefix}`, async () => {
    const until =
      request.forMs === undefined ? {} : { expiresAtMs: control.system.nowMs() + request.forMs };
    const done = await blockTarget(control, { target: kept, reason: request.reason, ...until }, by);
    return done.ok
      ? ok(`${done.value.id}; back with: postern incident unblock ${done.value.id}`)
      : err(done.error.message);
  });
  scribe.next(
    `On the machine too, before a byte reaches the gateway: nft add rule inet filter input ip saddr ${kept.prefix} drop`,
  );
  if (scribe.isDryRun) return;
  const { addr } = prefix.value;
  const inside = formatAddr(addr);
  const isOut = doors.turnsAway(inside);
  scribe.prove(`a connection from ${inside}`, '', isOut ? 'closed unread' : 'accepted', isOut);
  const neighbour = neighbourOf(prefix.value);
  if (neighbour !== undefined) {
    const isIn = !doors.turnsAway(neighbour);
    scribe.prove(
      `a connection from its neighbour ${neighbour}`,
      '',
      isIn ? 'accepted' : 'closed unread',
      isIn,
    );
  }
  // Connections are cut with the record; closing takes a turn of the loop.
  await until(run, () => Promise.resolve(doors.openFrom(kept.prefix) === 0));
  const left = doors.openFrom(kept.prefix);
  scribe.prove('connections from there', before, `${left} open`, left === 0);
}

/** The first address behind a prefix. */
function neighbourOf(prefix: Prefix): string | undefined {
  const next = nextAddr(rangeOfPrefix(prefix).last);
  return next === undefined ? undefined : formatAddr(next);
}

import { fail, pass, unknown } from '../finding/index.ts';
import type { CheckFacts } from './facts.ts';
import type { CheckLine } from './line.ts';
import { days, dayMs, known } from './line.ts';
import { exposureOf, isExposed } from './places.ts';

/** What Let's Encrypt's clients renew before: below it renewal has failed for a while. */
const certificateDaysMin = 21;

/** Lines about who can reach what from where. */
export const exposureLines: readonly CheckLine[] = [
  {
    id: 'inference-private',
    list: 'network',
    title: 'Inference endpoints have no public address',
    why: 'Whoever finds a model server that is open to the internet uses it, at your cost and with your data.',
    next: 'Bind the model server to its address on the private network, and name that in `providers`; until then: postern incident isolate',
    severity: 'high',
    judge: judgeInference,
  },
  {
    id: 'inference-gateway-only',
    list: 'network',
    title: 'The network lets only the gateway reach inference',
    why: 'A machine that reaches a model server directly passes by every limit, budget and record.',
    next: 'postern policy reach --to TARGET, then take the grant away: postern policy plan',
    severity: 'high',
    judge: judgeReach,
  },
  {
    id: 'listeners-private',
    list: 'hygiene',
    title: 'No listener is open beyond the private network, but the public edge',
    why: 'A port on all addresses is a port on the internet as soon as the machine has a public address.',
    next: 'postern config check --explain shows who says so; leave `listeners.gateway.address` out, or write the address of the private network',
    severity: 'high',
    judge: (facts) =>
      judgeOwnSockets(
        facts,
        (kind) => kind !== 'admin' && kind !== 'public' && kind !== 'coordination',
      ),
  },
  {
    id: 'admin-private',
    list: 'own',
    title: 'The admin API is on loopback or the private network only',
    why: 'Who administers can read usage, make keys and change the policy.',
    next: 'Leave `listeners.admin.address` out, or write the address of the private network',
    severity: 'high',
    judge: (facts) => judgeOwnSockets(facts, (kind) => kind === 'admin'),
  },
  {
    id: 'host-firewall',
    list: 'hygiene',
    title: 'The packet filter of the machine drops what nobody asked for',
    why: 'A service that somebody starts tomorrow should not be on the internet by itself.',
    next: 'ufw default deny incoming && ufw allow in on tailscale0 && ufw enable',
    severity: 'medium',
    judge: judgeFirewall,
  },
  {
    id: 'https-public',
    list: 'network',
    title: 'Every public endpoint speaks TLS and nothing else',
    why: 'A token that crosses the internet in the clear belongs to everybody on the way.',
    next: 'Give `publicEdge.tls` a certificate, or name the one balancer that terminates TLS in `trustedProxies`',
    severity: 'high',
    judge: judgeEdge,
  },
  {
    id: 'certificates-current',
    list: 'network',
    title: `Certificates live for at least ${certificateDaysMin} days more`,
    why: 'An expired certificate stops every caller at once, and teaches people to click warnings away.',
    next: 'Renew the certificate: the files of `publicEdge.tls` and `engine.tls` are read again when they change',
    severity: 'medium',
    judge: judgeCertificates,
  },
  {
    id: 'identity-headers',
    list: 'own',
    title: 'A caller who writes identity headers is nobody',
    why: 'Whoever can write `Tailscale-User-Login` would be whoever they like.',
    next: 'Stop this gateway and report it: this must not happen (SECURITY.md)',
    severity: 'high',
    judge: ({ forged }) =>
      known(forged, (probes) => {
        const believed = probes.filter((probe) => probe.believed);
        const evidence = probes.map(({ address, status }) => `${address}: ${status}`);
        return believed.length > 0
          ? fail('A listener believed a header that its caller wrote.', ...evidence)
          : pass(`${probes.length} listeners were asked; none believed it.`, ...evidence);
      }),
  },
  {
    id: 'egress-list',
    list: 'hygiene',
    title: 'The way out leads only where the operator said',
    why: 'A gateway that calls any address on request reads instance metadata for whoever asks.',
    next: 'Stop this gateway and report it: this must not happen (SECURITY.md)',
    severity: 'high',
    judge: ({ egressRefused }) =>
      known(egressRefused, (refused) =>
        refused
          ? pass(
              'A call to the metadata address, which nobody allowed, was refused before it was made.',
            )
          : fail('A call to the metadata address was made.', 'http://169.254.169.254/'),
      ),
  },
  {
    id: 'userspace-loopback',
    list: 'own',
    title: 'No userspace tailscaled hands peers to a loopback listener',
    why: 'In userspace mode tailscaled dials 127.0.0.1 for its peers, so that they look like this machine.',
    next: 'Set `listeners.serve.enabled` and: tailscale serve --bg --http=80 unix:STATE/run/serve.sock',
    severity: 'high',
    judge: judgeUserspace,
  },
];

function judgeInference({ places }: CheckFacts): ReturnType<CheckLine['judge']> {
  const own = places.filter(({ isVendor }) => !isVendor);
  const evidence = own.map(
    ({ provider, host, addresses }) =>
      `${provider}: ${host} is ${addresses.ok ? addresses.value.join(', ') : `unknown (${addresses.error})`}`,
  );
  const open = own.filter(
    ({ addresses }) =>
      addresses.ok && addresses.value.some((each) => exposureOf(each) === 'public'),
  );
  if (open.length > 0)
    return fail(
      `Public addresses: ${open.map(({ provider }) => provider).join(', ')}.`,
      ...evidence,
    );
  if (own.some(({ addresses }) => !addresses.ok))
    return unknown('A name does not resolve here.', ...evidence);
  const vendors = places.length - own.length;
  return pass(
    own.length === 0
      ? `No inference of ours: ${vendors} providers are vendors’ own APIs.`
      : `${own.length} endpoints, all private.`,
    ...evidence,
  );
}

function judgeReach({ reach, gatewayNames }: CheckFacts): ReturnType<CheckLine['judge']> {
  const ours = new Set(gatewayNames);
  return known(reach, (targets) => {
    if (targets.length === 0)
      return pass('No inference endpoint is on a network that we coordinate.');
    const others = targets.flatMap(({ provider, target, rows }) =>
      rows.flatMap(({ sources, network }) =>
        network === 'nothing'
          ? []
          : sources
              .filter((source) => !ours.has(source))
              .map((source) => `${source} reaches ${provider} (${target}) at ${network}`),
      ),
    );
    return others.length > 0
      ? fail('Others than the gateway reach inference.', ...others)
      : pass(`${targets.length} endpoints: the gateway alone reaches them.`);
  });
}

function judgeOwnSockets(
  { listeners, sockets }: CheckFacts,
  counts: (kind: string) => boolean,
): ReturnType<CheckLine['judge']> {
  return known(sockets, (bound) => {
    const byPort = new Map(listeners.map((each) => [each.port, each]));
    const mine = bound.filter(({ port }) => counts(byPort.get(port)?.kind ?? 'unnamed'));
    const open = mine.filter(({ host }) => isExposed(host));
    const words = (list: typeof bound): readonly string[] =>
      list.map(({ host, port }) => `${byPort.get(port)?.kind ?? 'unnamed'} on ${host}:${port}`);
    return open.length > 0
      ? fail('Sockets are open beyond the private network.', ...words(open))
      : pass(`${mine.length} sockets, none of them exposed.`, ...words(mine));
  });
}

function judgeFirewall({ sockets, firewall }: CheckFacts): ReturnType<CheckLine['judge']> {
  return known(sockets, (bound) => {
    const exposed = bound.filter(({ host }) => isExposed(host));
    if (exposed.length === 0)
      return pass('Nothing here is bound where a packet filter would count.');
    return known(firewall, ({ by, input }) =>
      input === 'drop'
        ? pass('Incoming packets are dropped unless a rule takes them.', `by ${by}`)
        : fail('Incoming packets are accepted unless a rule drops them.', `by ${by}`),
    );
  });
}

function judgeEdge({ config, edge }: CheckFacts): ReturnType<CheckLine['judge']> {
  const { publicEdge, trustedProxies } = config;
  if (publicEdge === undefined) return pass('There is no public endpoint.');
  if (publicEdge.tls === 'balancer') {
    const wide = trustedProxies.filter((prefix) => prefix.endsWith('/0'));
    return wide.length > 0
      ? fail('Plain HTTP is taken from anybody: every address is a trusted proxy.', ...wide)
      : pass('Plain HTTP is taken from the balancer alone.', ...trustedProxies);
  }
  return known(edge, (probes) => {
    const plain = probes.filter(({ plainStatus }) => plainStatus !== undefined);
    return plain.length > 0
      ? fail(
          'A public listener answers plain HTTP.',
          ...plain.map(({ address, plainStatus }) => `${address}: ${plainStatus}`),
        )
      : pass(
          'Plain HTTP gets no answer; TLS 1.3 is the least that is spoken.',
          ...probes.map(({ address }) => address),
        );
  });
}

function judgeCertificates({ certificates, nowMs }: CheckFacts): ReturnType<CheckLine['judge']> {
  if (certificates.length === 0) return pass('No listener shows a certificate.');
  const words = certificates.map(
    ({ listener, expiresAtMs }) => `${listener}: ${days(expiresAtMs - nowMs)} left`,
  );
  return certificates.some(({ expiresAtMs }) => expiresAtMs - nowMs < certificateDaysMin * dayMs)
    ? fail('A certificate is about to end.', ...words)
    : pass(`${certificates.length} certificates.`, ...words);
}

function judgeUserspace({ daemon, listeners, config }: CheckFacts): ReturnType<CheckLine['judge']> {
  return known(daemon, (found) => {
    if (found === undefined || found.hasDevice)
      return pass(
        found === undefined ? 'There is no tailscaled here.' : 'tailscaled has a network device.',
      );
    const loopback = listeners.filter(
      ({ kind, host }) =>
        kind === 'gateway' && host !== undefined && exposureOf(host) === 'loopback',
    );
    const ambient = loopback.length > 0 && config.trustLoopback;
    return ambient
      ? fail(
          'tailscaled is in userspace mode, and loopback callers are believed.',
          ...loopback.map(({ address }) => address),
        )
      : pass('tailscaled is in userspace mode; nobody is believed for coming from loopback.');
  });
}

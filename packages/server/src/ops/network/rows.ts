import type { Finding, FindingKind, Outcome } from '../finding/index.ts';
import { fail, findingOf, note, pass, unknown } from '../finding/index.ts';
import type { Known, ListeningSocket } from '../check/index.ts';
import type { DaemonView, NetworkFacts } from './facts.ts';
import { oddServeKeys, serveRules } from './serve.ts';

interface Row extends FindingKind {
  judge(facts: NetworkFacts): Outcome;
}

const dayMs = 86_400_000;
const keyDaysMin = 7;

/** Every finding of `postern doctor network`, in the order in which one makes the next possible. */
const rows: readonly Row[] = [
  {
    id: 'tailscaled',
    title: 'A tailscaled answers on this machine',
    why: 'Without it this machine is on no private network, and nobody is known by theirs.',
    next: 'Start it (systemctl enable --now tailscaled), or let Postern start one: postern up --join',
    severity: 'high',
    judge: ({ daemon, program }) =>
      when(daemon, (view) => {
        if (view !== undefined) return pass(`tailscaled answers (${view.state}).`);
        if (program !== undefined) return fail('No tailscaled answers.', `installed: ${program}`);
        const next = 'Install it: https://tailscale.com/download, or a package of your system';
        return { ...fail('tailscaled is not installed.'), next };
      }),
  },
  {
    id: 'logged-in',
    title: 'It is logged in and connected',
    why: 'A machine that is not logged in has no address that others could reach.',
    next: 'tailscale up, or: postern join',
    severity: 'high',
    judge: (facts) => withDaemon(facts, judgeLogin),
  },
  {
    id: 'coordination',
    title: 'Its coordination server answers',
    why: 'Machines that know each other go on without it; changes, new machines and new keys wait for it.',
    next: 'Look whether the server runs and this machine reaches it: curl URL/key?v=100',
    severity: 'high',
    judge: (facts) =>
      withDaemon(facts, ({ controlUrl }) =>
        when(facts.control, (problem) =>
          problem === undefined
            ? pass('It answers.', controlUrl)
            : fail(`${controlUrl}: ${problem}`, controlUrl),
        ),
      ),
  },
  {
    id: 'node-key',
    title: `The key of this machine lives for at least ${keyDaysMin} days more`,
    why: 'When it ends, this machine drops off the network, with everything that it serves.',
    next: 'tailscale up --force-reauth; machines that serve are better joined by a tagged key, which does not end',
    severity: 'medium',
    judge: (facts) => withDaemon(facts, (view) => judgeKey(view, facts.nowMs)),
  },
  {
    id: 'magic-dns',
    title: 'Names of the network resolve here',
    why: 'Without names people write addresses down, and http://ai leads nowhere.',
    next: 'postern network dns set --magic on, then on this machine: tailscale set --accept-dns=true',
    severity: 'medium',
    judge: judgeNames,
  },
  {
    id: 'udp',
    title: 'Packets (UDP) get out',
    why: 'Where they do not, all traffic goes through relays: it works, and it is slow.',
    next: 'Let this machine send UDP to any port, and answer it: nft add rule inet filter output udp dport { 3478, 41641 } accept',
    severity: 'medium',
    judge: (facts) =>
      withDaemon(facts, () =>
        when(facts.udp, ({ asked, answered }) => {
          if (asked === 0)
            return note('The network has no server that answers packets (STUN is off).');
          return answered > 0
            ? pass(`${answered} of ${asked} servers answered.`)
            : fail(`None of ${asked} servers answered: UDP is blocked on the way.`);
        }),
      ),
  },
  {
    id: 'wireguard-port',
    title: 'WireGuard has its usual port, UDP 41641',
    why: 'A firewall rule for a direct way names this port; behind another one machines meet less often directly.',
    next: 'Open UDP 41641 inwards, and start tailscaled with --port=41641',
    severity: 'low',
    judge: (facts) =>
      withDaemon(facts, () =>
        when(facts.wireguardPort, (isBound) =>
          isBound
            ? pass('UDP 41641 is bound.')
            : note(
                'Nothing has UDP 41641: tailscaled chose another port, which works behind most routers.',
              ),
        ),
      ),
  },
  {
    id: 'health',
    title: 'tailscaled itself complains of nothing',
    why: 'It knows best what it lacks.',
    next: 'tailscale status shows the complaints; each names its remedy',
    severity: 'low',
    judge: (facts) =>
      withDaemon(facts, ({ health }) =>
        health.length === 0 ? pass('No complaints.') : note('It complains.', ...health),
      ),
  },
  {
    id: 'serve-form',
    title: 'The Serve configuration has the form that tailscaled reads',
    why: 'A key such as "/" is taken without complaint and serves nothing.',
    next: 'tailscale serve reset, then: postern serve setup',
    severity: 'medium',
    judge: (facts) =>
      withDaemon(facts, () =>
        when(facts.serve, (config) => {
          const odd = oddServeKeys(config);
          return odd.length === 0
            ? pass('It has.')
            : fail('Keys of "Web" are host:port; these are not.', ...odd);
        }),
      ),
  },
  {
    id: 'serve-target',
    title: 'Serve hands callers to the socket of Postern, and to no port',
    why: 'Behind a TCP port on loopback anybody on this machine can write the identity headers, and in userspace mode anybody on the network.',
    next: 'postern serve setup',
    severity: 'high',
    judge: (facts) => withDaemon(facts, () => when(facts.serve, () => judgeTarget(facts))),
  },
  {
    id: 'funnel',
    title: 'Funnel gives nothing to the internet',
    why: 'Funnel callers have no identity, and come past every listener rule.',
    next: 'tailscale funnel reset',
    severity: 'high',
    judge: (facts) =>
      withDaemon(facts, () =>
        when(facts.serve, (config) => {
          const open = serveRules(config).filter(({ funnel }) => funnel);
          return open.length === 0
            ? pass('Funnel is off.')
            : fail('Funnel is on.', ...open.map(({ at }) => at));
        }),
      ),
  },
  {
    id: 'bind',
    title: 'Postern listens on loopback and on the network only',
    why: 'On every address it is as public as the machine is: a firewall rule away from the internet.',
    next: 'Bind loopback or the address of the network (listeners.*.address, POSTERN_GATEWAY_ADDR, POSTERN_CONTROL_ADDR)',
    severity: 'high',
    judge: judgeBind,
  },
];

/** The rows without their judgement, for reference pages. */
export const networkFindingKinds: readonly FindingKind[] = rows;

/** All findings over what was seen. */
export function judgeNetwork(facts: NetworkFacts): readonly Finding[] {
  return rows.map((row) => findingOf(row, row.judge(facts)));
}

function when<T>(seen: Known<T>, judge: (value: T) => Outcome): Outcome {
  return seen.ok ? judge(seen.value) : unknown(`It could not be looked at: ${seen.error}.`);
}

/** Without a daemon there is one thing wrong, and not ten. */
function withDaemon({ daemon }: NetworkFacts, judge: (view: DaemonView) => Outcome): Outcome {
  return when(daemon, (view) =>
    view === undefined ? note('There is no tailscaled to ask.') : judge(view),
  );
}

function judgeLogin({ state, addresses, authUrl, name }: DaemonView): Outcome {
  if (state === 'Running') return pass(`It is ${name === '' ? 'connected' : name}.`, ...addresses);
  if (state === 'NeedsMachineAuth') {
    const next = 'postern node list --waiting, then: postern node approve NAME';
    return { ...fail('It waits for an operator to let it in.'), next };
  }
  if (state === 'NeedsLogin' && authUrl !== undefined) {
    return { ...fail('Somebody has to sign in.'), next: `Open ${authUrl}` };
  }
  return fail(
    state === 'NeedsLogin'
      ? 'It is not logged in: its key is missing, wrong or has expired.'
      : `It is ${state}.`,
  );
}

function judgeKey({ keyExpiresAtMs }: DaemonView, nowMs: number): Outcome {
  if (keyExpiresAtMs === undefined) return pass('It does not end.');
  const days = Math.floor((keyExpiresAtMs - nowMs) / dayMs);
  const at = new Date(keyExpiresAtMs).toISOString();
  if (days < 0) return fail(`It ended at ${at}.`);
  return days < keyDaysMin ? fail(`It ends at ${at}.`) : pass(`It ends in ${days} days.`);
}

function judgeNames(facts: NetworkFacts): Outcome {
  return withDaemon(facts, ({ magicDns, takesDns, hasDevice, name, addresses }) => {
    if (name === '') return note('It has no name on the network yet.');
    if (!magicDns) return fail('MagicDNS is off: the network gives no names.');
    if (!hasDevice)
      return note(
        'In userspace mode names are for whoever goes through its proxy, not for this machine.',
      );
    if (!takesDns) {
      const next = 'tailscale set --accept-dns=true';
      return {
        ...note('This machine does not take names of the network (accept-dns is off).'),
        next,
      };
    }
    return when(facts.ownName, (seen) =>
      seen.some((address) => addresses.includes(address))
        ? pass(`${name} resolves.`, ...seen)
        : fail(`${name} does not resolve to this machine: another resolver answers.`, ...seen),
    );
  });
}

function judgeTarget({ serve, serveSocket, ports }: NetworkFacts): Outcome {
  const rules = serve.ok ? serveRules(serve.value) : [];
  const web = rules.filter(({ kind }) => kind === 'web');
  const own = Object.values(ports).filter((port) => port !== undefined);
  const toPort = rules.filter(({ target }) => own.some((port) => leadsTo(target, port)));
  if (toPort.length > 0) {
    return fail(
      'Serve leads to a TCP port of Postern: callers are nobody there.',
      ...toPort.map(({ at, target }) => `${at} → ${target}`),
    );
  }
  const toSocket = web.filter(({ target }) => target === `unix:${serveSocket.path}`);
  if (toSocket.length > 0) {
    const places = toSocket.map(({ at }) => at);
    return serveSocket.isThere
      ? pass('Serve hands over to the socket of Postern.', ...places)
      : fail(`Serve hands over to ${serveSocket.path}, where nobody listens.`, ...places);
  }
  const others = web.filter(({ target }) => target.startsWith('unix:'));
  if (others.length > 0) {
    return note(
      'Serve hands over to a socket that is not of this state folder.',
      ...others.map(({ at, target }) => `${at} → ${target}`),
    );
  }
  return note(
    'Serve hands nothing to Postern: callers come by its own listener on the network, if any.',
  );
}

function leadsTo(target: string, port: number): boolean {
  return new RegExp(
    `^(?:https?(?:\\+insecure)?://)?(?:127\\.\\d+\\.\\d+\\.\\d+|localhost|\\[::1\\]):${port}(?:/|$)`,
  ).test(target);
}

function judgeBind({ listeners, ports, daemon, hasEdge }: NetworkFacts): Outcome {
  return when(listeners, (sockets) => {
    const own = new Set(Object.values(ports).filter((port) => port !== undefined));
    const tailnet = daemon.ok ? (daemon.value?.addresses ?? []) : [];
    const ours = sockets.filter(({ port }) => own.has(port));
    const wide = ours.filter((each) => !isNarrow(each, tailnet));
    if (wide.length === 0) {
      return ours.length === 0
        ? note('No Postern listens here now.')
        : pass('It does.', ...ours.map(text));
    }
    return hasEdge && wide.every(({ port }) => port === ports.gateway)
      ? note('The gateway listens more widely, as a balancer in front needs it.', ...wide.map(text))
      : fail('It listens more widely.', ...wide.map(text));
  });
}

function isNarrow({ host }: ListeningSocket, tailnet: readonly string[]): boolean {
  return host.startsWith('127.') || host === '::1' || tailnet.includes(host);
}

function text({ host, port }: ListeningSocket): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

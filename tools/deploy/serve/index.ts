/**
 * Judges Serve configurations of a tailnet node (the file of `TS_SERVE_CONFIG`, what `tailscale serve status --json` prints). It takes the
 * parsed JSON and gives one sentence for each thing that breaks a rule.
 * @module
 */
export interface ServeRule {
  readonly name: string;
  readonly why: string;
  check(serve: unknown): readonly string[];
}

type Raw = Readonly<Record<string, unknown>>;

const hostPort = /^[^\s/:]+(?:\.[^\s/:]+)*:\d{1,5}$/u;

/** Every handler of the file with where it stands. */
function handlersOf(serve: unknown): readonly { readonly at: string; readonly handler: Raw }[] {
  return Object.entries(record(record(serve)['Web'])).flatMap(([host, web]) =>
    Object.entries(record(record(web)['Handlers'])).map(([path, handler]) => ({
      at: `${host} ${path}`,
      handler: record(handler),
    })),
  );
}

export const serveRules: readonly ServeRule[] = [
  {
    name: 'web-is-by-host-and-port',
    why: 'tailscaled ignores what is under any other name, and then serves nothing.',
    check: (serve) =>
      Object.keys(record(record(serve)['Web']))
        .filter((name) => !hostPort.test(name))
        .map((name) => `Web has "${name}" where HOST:PORT belongs`),
  },
  {
    name: 'handlers-are-by-path',
    why: 'A handler stands under the path that it answers.',
    check: (serve) =>
      Object.entries(record(record(serve)['Web'])).flatMap(([host, web]) =>
        Object.keys(record(record(web)['Handlers']))
          .filter((path) => !path.startsWith('/'))
          .map((path) => `${host} has a handler "${path}", which is no path`),
      ),
  },
  {
    name: 'ports-are-opened',
    why: 'Without a port under TCP nothing listens for what is under Web.',
    check: (serve) => {
      const opened = new Set(Object.keys(record(record(serve)['TCP'])));
      const ports = Object.keys(record(record(serve)['Web'])).map((name) => name.split(':')[1]);
      if (opened.size === 0) return ['TCP opens no port'];
      return ports
        .filter((port) => port !== undefined && !opened.has(port))
        .map((port) => `TCP does not open ${port ?? ''}`);
    },
  },
  {
    name: 'proxies-to-the-socket',
    why: 'On a TCP port of the loopback anybody on the machine can say who they are; on the socket only tailscaled can.',
    check: (serve) =>
      handlersOf(serve).flatMap(({ at, handler }) => {
        const proxy = handler['Proxy'];
        return typeof proxy === 'string' && !proxy.startsWith('unix:')
          ? [`${at} goes to ${proxy}`]
          : [];
      }),
  },
  {
    name: 'no-funnel',
    why: 'Funnel is the public internet.',
    check: (serve) =>
      Object.entries(record(record(serve)['AllowFunnel']))
        .filter(([, isAllowed]) => isAllowed === true)
        .map(([name]) => `${name} is on the internet`),
  },
];

function record(raw: unknown): Raw {
  // The parser of JSON gives plain objects; what is none has no members.
  return typeof raw === 'object' && raw !== null && !Array.isArray(raw) ? (raw as Raw) : {};
}

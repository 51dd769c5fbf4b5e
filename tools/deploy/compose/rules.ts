import type { ComposeFile, ComposeService } from './file.ts';

/** A rule for Compose files. It gives one sentence for each thing that breaks it. */
export interface ComposeRule {
  readonly name: string;
  readonly why: string;
  check(file: ComposeFile): readonly string[];
}

/** A rule that looks at each service by itself. */
function each(
  name: string,
  why: string,
  finding: (service: ComposeService) => string | undefined,
): ComposeRule {
  return {
    name,
    why,
    check: ({ services }) =>
      services.flatMap((service) => {
        const found = finding(service);
        return found === undefined ? [] : [`${service.name} ${found}`];
      }),
  };
}

const isTailscale = ({ image }: ComposeService): boolean => /(?:^|\/)tailscale\b/u.test(image);
const isUserspace = ({ environment }: ComposeService): boolean =>
  (environment['TS_USERSPACE'] ?? 'true') === 'true';
const secretName = /(?:KEY|TOKEN|SECRET|PASSWORD|AUTHKEY)$/u;

export const composeRules: readonly ComposeRule[] = [
  each(
    'no-published-ports',
    'A published port is reachable from outside the tailnet; on loopback it is not, and STUN tells a caller nothing but its own address.',
    ({ ports }) => {
      const open = ports.filter((port) => !/^(?:127\.0\.0\.1:|3478:3478\/udp$)/u.test(port));
      return open.length === 0 ? undefined : `publishes ${open.join(', ')}`;
    },
  ),
  each('not-privileged', 'A privileged container is the host.', (service) =>
    service.privileged ? 'is privileged' : undefined,
  ),
  each('no-host-namespaces', 'The host’s network shows it every port of the host.', (service) =>
    service.networkMode === 'host' ? 'uses the host’s network' : undefined,
  ),
  each('no-docker-socket', 'Docker’s socket is unrestricted root on the host.', (service) =>
    service.volumes.some((volume) => volume.includes('docker.sock'))
      ? 'may command Docker'
      : undefined,
  ),
  each('read-only-root', 'What cannot be written cannot be changed by an intruder.', (service) =>
    service.readOnly ? undefined : 'can write its own program',
  ),
  each(
    'temporary-files-do-not-run',
    'A writable folder that runs programs is a way in.',
    (service) =>
      service.tmpfs.every((mount) => mount.includes('noexec') && mount.includes('nosuid'))
        ? undefined
        : 'can run what it writes to a temporary folder',
  ),
  each('no-capabilities', 'Nothing here needs a capability of root.', (service) => {
    if (!service.capDrop.includes('ALL')) return 'keeps the default capabilities';
    return service.capAdd.length === 0 ? undefined : `adds ${service.capAdd.join(', ')}`;
  }),
  each('no-new-privileges', 'A set-uid program must not help anybody.', (service) =>
    service.securityOptions.some((option) => /^no-new-privileges[:=]true$/u.test(option))
      ? undefined
      : 'may gain privileges',
  ),
  each('not-root', 'Root in a container is root where the container leaks.', (service) =>
    service.user === undefined || /^(?:0|root)(?::|$)/u.test(service.user)
      ? 'runs as root'
      : undefined,
  ),
  each('bounded', 'One container must not starve the machine.', (service) =>
    service.pidsLimit === undefined || service.memoryLimit === undefined
      ? 'has no limit of processes or memory'
      : undefined,
  ),
  each('logs-end', 'Logs without an end fill the disk.', (service) =>
    service.hasLogLimit ? undefined : 'logs without an end',
  ),
  each('has-a-healthcheck', 'What is not asked is not known to work.', (service) =>
    service.hasHealthcheck ? undefined : 'is never asked whether it works',
  ),
  each('image-has-a-version', 'A moving tag runs tomorrow what nobody tried today.', (service) => {
    const image = service.image.replaceAll(/\$\{[^}]*:-([^}]*)\}/gu, '$1');
    // What a variable must name is checked where it is named: in the example beside the file.
    return /@sha256:[0-9a-f]{64}$|:v?\d+\.\d+|^\$\{\w+:\?/u.test(image)
      ? undefined
      : `runs whatever ${image} is today`;
  }),
  each(
    'secrets-are-files',
    'Variables are seen by every process and by `docker inspect`.',
    (service) => {
      const names = Object.entries(service.environment)
        .filter(([name, value]) => secretName.test(name) && !value.startsWith('file:'))
        .map(([name]) => name);
      return names.length === 0 ? undefined : `has ${names.join(', ')} in its environment`;
    },
  ),
  each('no-device', 'A userspace node needs no TUN device, and then no capability.', (service) =>
    [...service.devices, ...service.volumes].some((each) => each.includes('/dev/'))
      ? 'has a device of the host'
      : undefined,
  ),
  {
    name: 'serve-by-socket-in-userspace',
    why: 'A userspace node re-dials its tailnet callers as 127.0.0.1: a TCP port beside it would take anybody for a local caller.',
    check: ({ services }) =>
      services.filter(isTailscale).flatMap((node) => {
        const beside = services.filter(({ networkMode }) => networkMode === `service:${node.name}`);
        if (!isUserspace(node)) return [];
        if (beside.length > 0)
          return [`${beside[0]?.name ?? ''} shares the network of ${node.name}, a userspace node`];
        return node.environment['TS_SERVE_CONFIG'] === undefined
          ? [`${node.name} serves nothing: set TS_SERVE_CONFIG`]
          : [];
      }),
  },
  {
    name: 'node-keeps-its-state',
    why: 'A node without its state takes a new key at every start, and single-use keys are used up.',
    check: ({ services }) =>
      services
        .filter(isTailscale)
        .filter(({ environment, volumes }) => {
          const folder = environment['TS_STATE_DIR'];
          return (
            folder === undefined ||
            environment['TS_AUTH_ONCE'] !== 'true' ||
            !volumes.some((volume) => volume.split(':')[1] === folder)
          );
        })
        .map(({ name }) => `${name} forgets who it is`),
  },
];

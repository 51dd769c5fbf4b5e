import type { CommandSpec } from '../command.ts';

const statusFolderOption = {
  flags: '--status-folder <folder>',
  description:
    'Where programs of this machine find tailscale_status.json, tailscale_ip, actual_hostname, server_url and shared_key.',
} as const;

/** A machine that serves something and is found by what it serves. */
export const joiningCommands: readonly CommandSpec[] = [
  {
    path: 'auto',
    summary: 'Take the role that the environment names (server, node or gateway), and say why.',
    options: [
      {
        flags: '--insecure-any-app',
        description:
          'VPC_ALLOWED_APPS=any is meant: every app that the mesh verifies may register.',
      },
      { flags: '--dry-run', description: 'Decide and say so; start nothing.' },
      { flags: '--log <format>', description: 'json (default) or plain.' },
    ],
    examples: [
      'postern auto --dry-run',
      'VPC_NODE_NAME=gpu-1 VPC_NODE_TYPE=instant MESH_BACKEND=127.0.0.1:8000 postern auto --dry-run',
    ],
    load: () => import('./auto.ts'),
  },
  {
    path: 'join',
    summary: 'Put this machine on the network and in the registry, and keep it there.',
    options: [
      {
        flags: '--server <url>',
        description: 'The registry (registry.address of the gateway), such as http://gateway:8000.',
      },
      {
        flags: '--name <name>',
        description: 'What this machine is called; default: its host name.',
      },
      { flags: '--type <type>', description: 'What it serves; providers find it by this.' },
      {
        flags: '--backend <host:port>',
        description:
          'Where that listens, as seen from here. The network finds it on the same port.',
      },
      {
        flags: '--token-file <file>',
        description:
          'The key that allows it (postern key create NAME --join TYPE). Also POSTERN_JOIN_TOKEN_FILE.',
      },
      {
        flags: '--token <key>',
        description:
          'The same in words, which other users of this machine may see. Also POSTERN_JOIN_TOKEN.',
      },
      {
        flags: '--attest',
        description:
          'Instead of a key: register through the mesh of this machine (127.0.0.1:8091), which proves what it runs.',
      },
      { flags: '--server-app <id>', description: 'With --attest: the app that the registry is.' },
      {
        flags: '--tailscaled <which>',
        description: 'existing, own (a child in userspace mode), or any (default).',
      },
      { flags: '--accept-dns', description: 'Names of the network resolve on this machine.' },
      {
        flags: '--lease <seconds>',
        description: 'How long it counts as alive after it was last heard of (default 15).',
      },
      statusFolderOption,
    ],
    examples: [
      'postern join --server http://10.0.0.5:8000 --type instant --backend 127.0.0.1:8000 --token-file ./join.key',
      'postern join --attest --server-app 8c19e4b92f7d0f5a6b3c1d2e3f4a5b6c7d8e9f00 --type instant --backend 8000',
      'postern join --server http://10.0.0.5:8000 --name gpu-1 --type thinking --backend 8000 --tailscaled own',
    ],
    load: () => import('./join.ts'),
  },
  {
    path: 'leave',
    summary: 'Undo what join did: registry, Serve, login, files.',
    options: [statusFolderOption],
    examples: ['postern leave'],
    load: () => import('./leave.ts'),
  },
  {
    path: 'doctor network',
    summary:
      'Look for what is wrong with this machine on its private network, and say how to mend it.',
    examples: ['postern doctor network', 'postern doctor network --json'],
    load: () => import('./network/doctor.ts'),
  },
  {
    path: 'serve setup',
    summary:
      'Let Serve of the local tailscaled hand callers to Postern, as this client and network allow.',
    examples: ['postern serve setup', 'postern serve setup --json'],
    load: () => import('./serve/setup.ts'),
  },
  {
    path: 'network plan',
    summary:
      'Print who may reach whom in an environment, from configuration and policy, as a table or a firewall.',
    options: [
      { flags: '--env <name>', description: 'dev, staging-home, staging-cloud or production.' },
      { flags: '--for <role>', description: 'Whose firewall: gateway (default) or inference.' },
      {
        flags: '--format <format>',
        description:
          'table (default), nftables, iptables, ip6tables, ufw, aws (security groups) or kubernetes (network policies).',
      },
      {
        flags: '--gateway <prefixes>',
        description: 'Where the gateway is, for the firewalls of model servers beside a mesh.',
      },
      { flags: '--compare', description: 'Against what really listens here; 1 where more does.' },
    ],
    examples: [
      'postern network plan --env production',
      'postern network plan --env dev --format nftables',
      'postern network plan --env production --for inference --gateway 10.0.1.0/24 --format ufw',
      'postern network plan --env dev --compare',
    ],
    load: () => import('./network/plan.ts'),
  },
];

import type { CommandSpec } from '../command.ts';

const nodeArgument = {
  name: 'node',
  required: true,
  description: 'Name, id or address of a machine.',
} as const;

/** The machines of the network. */
export const nodeCommands: readonly CommandSpec[] = [
  {
    path: 'node list',
    summary: 'List the machines of the network and those that ask to join.',
    options: [
      { flags: '--waiting', description: 'Only what waits for an approval.' },
      { flags: '--online', description: 'Only machines that are connected now.' },
    ],
    examples: ['postern node list', 'postern node list --waiting', 'postern node list --json'],
    load: async () => ({ run: (await import('./network/node-list.ts')).run }),
  },
  {
    path: 'node show',
    summary: 'Show one machine: names, addresses, keys, routes, where it is.',
    args: [nodeArgument],
    examples: ['postern node show laptop', 'postern node show 100.64.0.2 --json'],
    load: async () => ({ run: (await import('./network/node.ts')).show }),
  },
  {
    path: 'node approve',
    summary: 'Approve a machine that joined, or let in one that waits at its sign-in page.',
    args: [
      {
        name: 'node',
        required: false,
        description: 'A machine; or the link that it showed, or the id at the end of that link.',
      },
    ],
    options: [
      { flags: '--user <login>', description: 'Whose machine it becomes (from a sign-in link).' },
      { flags: '--tags <tags>', description: 'Or its tags, separated by commas.' },
      {
        flags: '--all-pending',
        description: 'Every machine at its sign-in page; shows them first and changes nothing.',
      },
      {
        flags: '--yes',
        description: 'With --all-pending: do it. Anybody can ask to join: look first.',
      },
    ],
    examples: [
      'postern node approve laptop',
      'postern node approve --all-pending --user alice@example.com --yes',
      'postern node approve https://vpn.example.com/register/0123456789abcdef0123456789abcdef --user alice@example.com',
    ],
    load: async () => ({ run: (await import('./network/node.ts')).approve }),
  },
  {
    path: 'node expire',
    summary: 'End the key of a machine now: it has to sign in again.',
    args: [nodeArgument],
    examples: ['postern node expire laptop'],
    load: async () => ({ run: (await import('./network/node.ts')).expire }),
  },
  {
    path: 'node delete',
    summary: 'Forget a machine: its name and addresses are free, its keys unknown.',
    args: [nodeArgument],
    examples: ['postern node delete old-laptop'],
    load: async () => ({ run: (await import('./network/node.ts')).remove }),
  },
  {
    path: 'node rename',
    summary: 'Give a machine a name of its own, or let it follow its host name again.',
    args: [
      nodeArgument,
      {
        name: 'name',
        required: false,
        description: 'A label in lower case; default: the name of the host.',
      },
    ],
    examples: ['postern node rename laptop alices-laptop', 'postern node rename alices-laptop'],
    load: async () => ({ run: (await import('./network/node.ts')).rename }),
  },
  {
    path: 'node tag',
    summary: 'Replace the tags of a machine. A machine with tags belongs to nobody.',
    args: [
      nodeArgument,
      { name: 'tags', required: true, description: 'Such as tag:ci,tag:build.' },
    ],
    examples: ['postern node tag runner-3 tag:ci', 'postern node tag box tag:gpu,tag:build'],
    load: async () => ({ run: (await import('./network/node.ts')).tag }),
  },
  {
    path: 'node routes',
    summary: 'Show what a machine offers to route, or say what it may.',
    args: [
      nodeArgument,
      {
        name: 'prefixes',
        required: false,
        description: 'All that it may route from now on, separated by commas.',
      },
    ],
    options: [
      { flags: '--all', description: 'Allow all that it offers.' },
      { flags: '--none', description: 'Allow nothing.' },
    ],
    examples: [
      'postern node routes router',
      'postern node routes router 10.0.0.0/24',
      'postern node routes exit --all',
    ],
    load: async () => ({ run: (await import('./network/node-routes.ts')).run }),
  },
];

/** The network as a whole. */
export const networkCommands: readonly CommandSpec[] = [
  {
    path: 'network status',
    summary: 'Show the network: where it is, who is on it, what waits for somebody.',
    examples: ['postern network status', 'postern network status --json'],
    load: () => import('./network/status.ts'),
  },
  {
    path: 'network use',
    summary: 'Choose what coordinates the network; asks it first whether that would work.',
    args: [{ name: 'engine', required: true, description: 'embedded, headscale or tailscale.' }],
    options: [
      {
        flags: '--url <url>',
        description: 'Where it is: of the embedded engine for machines, else of its API.',
      },
      { flags: '--force', description: 'Write it although it cannot be used now.' },
    ],
    examples: [
      'HEADSCALE_API_KEY=… postern network use headscale --url https://vpn.example.com',
      'TS_CLIENT_ID=… TS_CLIENT_SECRET=… postern network use tailscale',
      'postern network use embedded --url https://vpn.example.com',
    ],
    load: () => import('./network/use.ts'),
  },
  {
    path: 'network policy',
    summary: 'Print the policy as the engine of the network has it, whoever wrote it there.',
    examples: ['postern network policy', 'postern network policy > policy.hujson'],
    load: () => import('./network/policy.ts'),
  },
  {
    path: 'network config',
    summary: 'Write a configuration of Headscale that Postern can work with.',
    args: [{ name: 'engine', required: true, description: 'headscale.' }],
    options: [
      { flags: '--url <url>', description: 'Where machines find it. Default: HEADSCALE_URL.' },
      { flags: '--out <folder>', description: 'Write it there; default: print it.' },
      { flags: '--listen <address>', description: 'host:port; default: of the URL.' },
      {
        flags: '--base-domain <domain>',
        description: 'Names of machines end in it; not a parent of the URL. Default mesh.internal.',
      },
      { flags: '--ipv4 <prefix>', description: 'Default 100.64.0.0/10.' },
      { flags: '--ipv6 <prefix>', description: 'Default fd7a:115c:a1e0::/48.' },
      {
        flags: '--folder <path>',
        description: 'Where it keeps its keys and its database. Default /var/lib/headscale.',
      },
      {
        flags: '--relay <kind>',
        description:
          'embedded (its own; needs https, the default there), public (those of Tailscale, the default for http), file (a derp.yaml of yours).',
      },
      { flags: '--nameservers <list>', description: 'For all names, separated by commas.' },
      { flags: '--cert <file>', description: 'PEM of its certificate, with --key.' },
      { flags: '--key <file>', description: 'PEM of its key.' },
    ],
    examples: [
      'postern network config headscale --url https://vpn.example.com --cert /etc/hs/c.pem --key /etc/hs/k.pem --out /etc/headscale',
      'postern network config headscale --url http://10.0.0.5:8080 --relay file',
    ],
    load: () => import('./network/config.ts'),
  },
  {
    path: 'network url',
    summary: 'Print where machines find this network; as a QR code for phones at a terminal.',
    options: [{ flags: '--qr', description: 'The QR code also where no terminal reads it.' }],
    examples: ['postern network url', 'postern network url --qr'],
    load: () => import('./network/url.ts'),
  },
  {
    path: 'network user list',
    summary: 'List the people of the network, their roles and how many machines they have.',
    examples: ['postern network user list', 'postern network user list --json'],
    load: async () => ({ run: (await import('./network/user.ts')).list }),
  },
  {
    path: 'network user role',
    summary: 'Give somebody a role that policies name (autogroup:admin), or take it back.',
    args: [
      { name: 'user', required: true, description: 'Login, such as alice@example.com.' },
      {
        name: 'role',
        required: false,
        description:
          'owner, admin, it-admin, network-admin, billing-admin or auditor; absent: a member and nothing else.',
      },
    ],
    examples: [
      'postern network user role alice@example.com admin',
      'postern network user role alice@example.com',
    ],
    load: async () => ({ run: (await import('./network/user.ts')).role }),
  },
  {
    path: 'network adopt',
    summary: 'Take over the machines of a lost server from what node list --json said.',
    args: [{ name: 'inventory', required: true, description: 'The file with that output.' }],
    examples: ['postern node list --json > nodes.json', 'postern network adopt nodes.json'],
    load: () => import('./network/adopt.ts'),
  },
  {
    path: 'network key create',
    summary: 'Make a key by which machines join; it is shown once.',
    options: [
      { flags: '--user <login>', description: 'Whose machines they become.' },
      { flags: '--tags <tags>', description: 'Or their tags, separated by commas.' },
      { flags: '--reusable', description: 'More than one machine may join by it.' },
      { flags: '--ephemeral', description: 'Its machines are forgotten when they go away.' },
      {
        flags: '--needs-approval',
        description: 'Its machines wait for approval, where `engine.deviceApproval` asks for one.',
      },
      {
        flags: '--expires <when>',
        description: 'A time to live such as 12h or 30d, or an RFC 3339 time (default 1h).',
      },
      { flags: '--description <text>', description: 'What it is for, for people.' },
      { flags: '--qr', description: 'Show it as a QR code too, for a phone.' },
    ],
    examples: [
      'postern network key create --user alice@example.com',
      'postern network key create --user alice@example.com --qr',
      'postern network key create --tags tag:ci --reusable --ephemeral --expires 30d',
    ],
    load: async () => ({ run: (await import('./network/key.ts')).create }),
  },
  {
    path: 'network key list',
    summary: 'List pre-auth keys: for whom, what kind, until when. Never their secrets.',
    options: [{ flags: '--all', description: 'Used, revoked and expired ones too.' }],
    examples: ['postern network key list', 'postern network key list --all --json'],
    load: async () => ({ run: (await import('./network/key.ts')).list }),
  },
  {
    path: 'network key revoke',
    summary: 'Revoke a pre-auth key. Machines that joined by it stay.',
    args: [{ name: 'key', required: true, description: 'Its id.' }],
    examples: ['postern network key revoke pak_0190c2f1a7b34c5d'],
    load: async () => ({ run: (await import('./network/key.ts')).revoke }),
  },
  {
    path: 'network dns show',
    summary: 'Show what machines are told about names.',
    examples: ['postern network dns show', 'postern network dns show --json'],
    load: async () => ({ run: (await import('./network/dns.ts')).show }),
  },
  {
    path: 'network dns set',
    summary: 'Change what machines are told about names. What is not given stays.',
    options: [
      { flags: '--magic <on|off>', description: 'Names of machines resolve on the network.' },
      {
        flags: '--nameservers <list>',
        description: 'Addresses or https URLs, separated by commas; none: no servers.',
      },
      { flags: '--override <on|off>', description: 'They replace what a machine has.' },
      { flags: '--search <domains>', description: 'Search domains, separated by commas, or none.' },
      {
        flags: '--split <routes>',
        description: 'Whose names are asked where: corp.example=10.0.0.53+10.0.0.54,…, or none.',
      },
      {
        flags: '--records <records>',
        description: 'Names of your own: wiki=100.64.0.7,…, or none.',
      },
    ],
    examples: [
      'postern network dns set --nameservers 9.9.9.9,149.112.112.112 --override on',
      'postern network dns set --split corp.example=10.0.0.53 --search corp.example',
      'postern network dns set --records wiki=100.64.0.7',
    ],
    load: async () => ({ run: (await import('./network/dns.ts')).set }),
  },
];

import type { CommandSpec } from '../command.ts';

/** Commands of the attested mesh. */
export const meshCommands: readonly CommandSpec[] = [
  {
    path: 'mesh status',
    summary: 'Show our certificate in the mesh, its doors and what happened at them.',
    examples: ['postern mesh status', 'postern mesh status --json'],
    load: () => import('./mesh/status.ts'),
  },
  {
    path: 'mesh peers',
    summary: 'List open connections with peers, and by what each was verified.',
    examples: ['postern mesh peers'],
    load: () => import('./mesh/peers.ts'),
  },
  {
    path: 'mesh forward',
    summary: 'Open a local port that leads to one port of one app, until Postern ends.',
    args: [
      { name: 'listen', required: true, description: 'Port on loopback; 0 for a free one.' },
      { name: 'target', required: true, description: 'APP:PORT or APP/INSTANCE:PORT.' },
    ],
    examples: ['postern mesh forward 27017 8c19e4b92f7d0f5a6b3c1d2e3f4a5b6c7d8e9f00:27017'],
    load: () => import('./mesh/forward.ts'),
  },
  {
    path: 'mesh revoke',
    summary: 'Refuse an app, an instance, a device or a certificate from now on, and cut it.',
    args: [
      { name: 'kind', required: true, description: 'app, instance, device or serial.' },
      { name: 'id', required: true, description: 'In hex, as `postern mesh peers` shows it.' },
    ],
    options: [
      { flags: '--reason <text>', description: 'Kept with it.' },
      { flags: '--lift', description: 'Take a revocation back.' },
    ],
    examples: [
      'postern mesh revoke app 8c19e4b92f7d0f5a6b3c1d2e3f4a5b6c7d8e9f00 --reason "key leaked"',
      'postern mesh revoke serial 4a:00:31 --lift',
    ],
    load: () => import('./mesh/revoke.ts'),
  },
  {
    path: 'mesh run',
    summary:
      'Run the mesh alone: no gateway, no journal; it follows the configuration and the policy file beside it.',
    options: [
      {
        flags: '--toml <file>',
        description: 'Take doors, gateway domain and key files from a dstack-mesh.toml.',
      },
      {
        flags: '--log <format>',
        description: 'json or plain; default: plain at a terminal, else json.',
      },
    ],
    examples: [
      'postern mesh run --config /etc/postern/postern.hujson',
      'postern mesh run --config mesh.hujson --toml /etc/dstack/dstack-mesh.toml',
    ],
    load: () => import('./mesh/run.ts'),
  },
  {
    path: 'mesh nginx',
    summary: 'Write the two nginx files: local programs on port 80, peers on port 443.',
    options: [
      { flags: '--out <folder>', description: 'Where they are written; default: standard output.' },
      { flags: '--backend <place>', description: 'The program: 127.0.0.1:8000 or unix:/path.' },
      { flags: '--certificate <file>', description: 'PEM that nginx shows to peers.' },
      { flags: '--key <file>', description: 'PEM of its key.' },
      { flags: '--roots <file>', description: 'PEM of the roots of callers’ certificates.' },
      { flags: '--listen <port>', description: 'For local programs; default 127.0.0.1:80.' },
      { flags: '--listen-tls <port>', description: 'For peers; default 443.' },
      { flags: '--outbound <place>', description: 'Our way out; default 127.0.0.1:8091.' },
      { flags: '--auth <place>', description: 'Our auth service; default 127.0.0.1:8092.' },
    ],
    examples: [
      'postern mesh nginx --out /etc/nginx/conf.d --backend 127.0.0.1:8000 --certificate mesh.crt --key mesh.key --roots kms-root.pem',
    ],
    load: () => import('./mesh/nginx.ts'),
  },
];

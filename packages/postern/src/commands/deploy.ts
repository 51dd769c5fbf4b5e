import type { CommandSpec } from '../command.ts';

/** Commands that make the files of a deployment. They print; what changes this machine says so by `--install`. */
export const deployCommands: readonly CommandSpec[] = [
  {
    path: 'deploy systemd',
    summary: 'Print the hardened systemd unit of the gateway, or install it.',
    options: [
      { flags: '--install', description: 'Write the unit and make systemd read it.' },
      {
        flags: '--unit-folder <dir>',
        description: 'Where units are (default /etc/systemd/system).',
      },
      { flags: '--user <name>', description: 'The user that it runs as (default postern).' },
      {
        flags: '--program <file>',
        description: 'The program (default: the one that runs this command).',
      },
      {
        flags: '--credential <list>',
        description:
          'Secrets that systemd hands over, as NAME=FILE, separated by commas; the configuration names them as {"credential": "NAME"}.',
      },
    ],
    examples: [
      'postern deploy systemd',
      'sudo postern deploy systemd --install --credential anthropic=/etc/postern/secrets/anthropic',
    ],
    load: () => import('./deploy/systemd.ts'),
  },
  {
    path: 'deploy ssh',
    summary: 'Print a script that makes a machine reachable by SSH from the tailnet.',
    options: [
      { flags: '--windows', description: 'OpenSSH with a key: Tailscale SSH has no server there.' },
      { flags: '--macos', description: 'Tailscale SSH under tailscaled, else Remote Login.' },
      { flags: '--linux', description: 'Tailscale SSH; with --key, OpenSSH.' },
      {
        flags: '--trust <host>',
        description: 'For the machine that connects: its own key, and the host key of this host.',
      },
      { flags: '--key <file>', description: 'The public key to authorise.' },
      { flags: '--user <name>', description: 'The user of the other side.' },
      {
        flags: '--fingerprint <hash>',
        description: 'SHA256:… of the host key, as the script on the other side printed it.',
      },
      { flags: '--remove', description: 'The script takes the key away.' },
    ],
    examples: [
      'postern deploy ssh --windows --key ~/.ssh/id_ed25519.pub > frank.ps1',
      'postern deploy ssh --linux | ssh root@gpu-1 sh',
      'postern deploy ssh --trust frank --user admin --fingerprint SHA256:… | sh',
    ],
    load: () => import('./deploy/ssh.ts'),
  },
];

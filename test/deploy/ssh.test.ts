import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { createIo } from '../../packages/postern/src/output/io.ts';
import { run as deploySsh } from '../../packages/postern/src/commands/deploy/ssh.ts';
import { run as deploySystemd } from '../../packages/postern/src/commands/deploy/systemd.ts';

const root = path.resolve(import.meta.dirname, '../..');
const box = mkdtempSync(path.join(tmpdir(), 'postern-deploy-'));
afterAll(() => rmSync(box, { recursive: true, force: true }));

const key = `ssh-ed25519 ${'AAAAC3NzaC1lZDI1NTE5'.padEnd(68, 'A')} agent@laptop`;
const keyFile = path.join(box, 'id.pub');
writeFileSync(keyFile, `${key}\n`);

async function deploy(
  run: typeof deploySsh,
  options: Record<string, string | boolean>,
): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const terminal = {
    writeOut: (text: string): void => {
      out += text;
    },
    writeErr: (text: string): void => {
      err += text;
    },
    readInput: () => Promise.resolve(undefined),
    isTerminal: false,
    isInteractive: false,
    env: {},
  };
  const code = await run({ args: {}, options, io: createIo(terminal, {}) });
  return { code, out, err };
}

/** Programs that a script calls and this machine must not run: each writes down how it was called. */
function stubs(folder: string, answers: Readonly<Record<string, string>>): string {
  const bin = path.join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  for (const [name, body] of Object.entries(answers)) {
    const file = path.join(bin, name);
    writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> '${folder}/calls'\n${body}\n`);
    chmodSync(file, 0o755);
  }
  return bin;
}

function shell(
  script: string,
  folder: string,
  bin: string,
): { status: number | null; text: string } {
  const env = {
    PATH: `${bin}:/usr/sbin:/usr/bin:/sbin:/bin`,
    HOME: folder,
    SSHD_CONFIG_DIR: path.join(folder, 'sshd_config.d'),
  };
  const done = spawnSync('sh', [], { input: script, env, encoding: 'utf8', timeout: 20_000 });
  return { status: done.status, text: done.stdout + done.stderr };
}

const isRoot = process.getuid?.() === 0;
const hasLint = spawnSync('shellcheck', ['--version']).status === 0;
const hasKeygen = spawnSync('ssh-keygen', ['-?']).error === undefined;

test.skipIf(!hasLint)('every shell script under deploy is clean for shellcheck', () => {
  const scripts = readdirSync(path.join(root, 'deploy'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.sh'))
    .map((file) => path.join(root, 'deploy', file));
  expect(scripts.length).toBeGreaterThanOrEqual(3);
  execFileSync('shellcheck', scripts);
});

describe('deploy ssh --linux', () => {
  const folder = path.join(box, 'linux');
  const home = path.join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const owner = userInfo().username;
  const bin = stubs(folder, {
    getent: `echo '${owner}:x:0:0::${home}:/bin/sh'`,
    sshd: '',
    systemctl: '',
    tailscale: '',
  });

  test.skipIf(!isRoot)(
    'authorises the key once, from the tailnet only, and takes it away again',
    async () => {
      const { out } = await deploy(deploySsh, { linux: true, key: keyFile, user: owner });
      const first = shell(out, folder, bin);
      expect(first.text).toContain('authorised the key, from the tailnet');
      expect(first.status).toBe(0);
      const file = path.join(home, '.ssh/authorized_keys');
      const wanted = `from="100.64.0.0/10,fd7a:115c:a1e0::/48" ${key}\n`;
      expect(readFileSync(file, 'utf8')).toBe(wanted);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
      expect(readFileSync(path.join(folder, 'sshd_config.d/10-postern.conf'), 'utf8')).toBe(
        'PasswordAuthentication no\nKbdInteractiveAuthentication no\n',
      );
      const second = shell(out, folder, bin);
      expect(second.text).toBe(
        'postern: the key is authorised\npostern: passwords are off already\n',
      );
      expect(readFileSync(file, 'utf8')).toBe(wanted);
      const gone = await deploy(deploySsh, {
        linux: true,
        key: keyFile,
        user: owner,
        remove: true,
      });
      expect(shell(gone.out, folder, bin).status).toBe(0);
      expect(readFileSync(file, 'utf8')).toBe('');
    },
  );

  test.skipIf(!isRoot)('a file without a last line end keeps both keys whole', async () => {
    const file = path.join(home, '.ssh/authorized_keys');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, 'ssh-ed25519 AAAAother other@host');
    const { out } = await deploy(deploySsh, { linux: true, key: keyFile, user: owner });
    expect(shell(out, folder, bin).status).toBe(0);
    expect(readFileSync(file, 'utf8').split('\n')).toEqual([
      'ssh-ed25519 AAAAother other@host',
      `from="100.64.0.0/10,fd7a:115c:a1e0::/48" ${key}`,
      '',
    ]);
  });

  test.skipIf(!isRoot)('without a key it switches Tailscale SSH on', async () => {
    const { out } = await deploy(deploySsh, { linux: true });
    expect(shell(out, folder, bin).status).toBe(0);
    expect(readFileSync(path.join(folder, 'calls'), 'utf8')).toContain('tailscale set --ssh\n');
  });
});

describe('deploy ssh --macos (simulated: the programs of macOS are stand-ins)', () => {
  const folder = path.join(box, 'mac');
  const home = path.join(folder, 'home');
  mkdirSync(home, { recursive: true });
  const answers = {
    dscl: `echo 'NFSHomeDirectory: ${home}'`,
    systemsetup: 'echo "Remote Login: Off"',
    launchctl: '',
    tailscale: '',
    chown: '',
    install: 'for last; do :; done; mkdir -p "$last"; chmod 700 "$last"',
  };

  test.skipIf(!isRoot)('sets up Remote Login with the key where the app runs', async () => {
    const bin = stubs(folder, { ...answers, pgrep: 'exit 1' });
    const { out } = await deploy(deploySsh, { macos: true, key: keyFile, user: 'willow' });
    const script = out.replace('/etc/ssh/sshd_config.d', `${folder}/conf`);
    mkdirSync(path.join(folder, 'conf'), { recursive: true });
    const done = shell(script, folder, bin);
    expect(done.text).toContain('switched Remote Login on');
    expect(done.status).toBe(0);
    expect(readFileSync(path.join(home, '.ssh/authorized_keys'), 'utf8')).toContain(key);
    expect(readFileSync(path.join(folder, 'calls'), 'utf8')).toContain(
      'launchctl enable system/com.openssh.sshd',
    );
  });

  test.skipIf(!isRoot)('switches Tailscale SSH on where tailscaled itself runs', async () => {
    const bin = stubs(path.join(folder, 'b'), { ...answers, pgrep: 'exit 0' });
    const { out } = await deploy(deploySsh, { macos: true, key: keyFile, user: 'willow' });
    expect(shell(out, folder, bin).text).toContain('Tailscale SSH is on');
  });
});

describe('deploy ssh --windows (simulated: asserted on the text)', () => {
  test('is one block that is called with the key', async () => {
    const { out, code } = await deploy(deploySsh, { windows: true, key: keyFile });
    expect(code).toBe(0);
    expect(out.startsWith('& {\n<#')).toBe(true);
    expect(out.endsWith(`} -PublicKey '${key}'\n`)).toBe(true);
  });

  test('lets the tailnet in and nobody else, with exactly two entries on the key file', async () => {
    const { out } = await deploy(deploySsh, { windows: true, key: keyFile });
    for (const part of [
      'Add-WindowsCapability -Online -Name $capability.Name',
      'Set-Service -Name sshd -StartupType Automatic',
      'Set-NetFirewallRule -Name $ruleName -Enabled True -Direction Inbound -Action Allow -RemoteAddress $AllowFrom',
      "[string[]] $AllowFrom = @('100.64.0.0/10', 'fd7a:115c:a1e0::/48')",
      '$acl.SetAccessRuleProtection($true, $false)',
      "foreach ($sid in 'S-1-5-18', 'S-1-5-32-544')",
      "PasswordAuthentication = 'no'",
    ])
      expect(out).toContain(part);
    expect(out).not.toContain('tailscale set --ssh');
  });

  test('needs a key and says why', async () => {
    const { code, err } = await deploy(deploySsh, { windows: true });
    expect(code).toBe(2);
    expect(err).toContain('Tailscale SSH has no server there');
  });
});

describe('what is asked wrongly', () => {
  test.each([
    ['a private key', '-----BEGIN OPENSSH PRIVATE KEY-----\n', 'is a private key'],
    ['two keys', `${key}\n${key}\n`, 'not one public key'],
    ['a quote in the comment', `${key}'; rm -rf /`, 'not one public key'],
    ['an option before the key', `command="x" ${key}`, 'not one public key'],
  ])('%s is refused', async (_name, text, says) => {
    const file = path.join(box, 'bad.pub');
    writeFileSync(file, text);
    const { code, err } = await deploy(deploySsh, { linux: true, key: file, user: 'me' });
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });

  test.each([
    [{}, 'Say one of'],
    [{ linux: true, macos: true }, 'Say one of'],
    [{ trust: '-oProxyCommand=x', user: 'me' }, '--trust takes a name'],
    [{ trust: 'frank', user: "me'" }, '--trust needs --user'],
    [{ trust: 'frank', user: 'me', fingerprint: 'md5' }, '--fingerprint looks like'],
  ] as const)('%j is refused', async (options, says) => {
    const { code, err } = await deploy(deploySsh, options);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });
});

describe('deploy ssh --trust', () => {
  test.skipIf(!hasKeygen)('pins the host key that a person compared, and no other', async () => {
    const folder = path.join(box, 'trust');
    mkdirSync(folder, { recursive: true });
    const hostKey = path.join(folder, 'host');
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', hostKey]);
    const printed = execFileSync('ssh-keygen', ['-lf', `${hostKey}.pub`], { encoding: 'utf8' });
    const good = printed.split(' ')[1] ?? '';
    const bin = stubs(folder, { 'ssh-keyscan': `echo "frank $(cat ${hostKey}.pub)"` });
    const options = { trust: 'frank', user: 'admin' };
    const wrong = `SHA256:${'A'.repeat(43)}`;
    const refused = await deploy(deploySsh, { ...options, fingerprint: wrong });
    const no = shell(refused.out, folder, bin);
    expect(no.status).toBe(1);
    expect(no.text).toContain('shows other keys');
    expect(readFileSync(path.join(folder, '.ssh/known_hosts'), 'utf8')).toBe('');
    const taken = await deploy(deploySsh, { ...options, fingerprint: good });
    expect(shell(taken.out, folder, bin).status).toBe(0);
    expect(shell(taken.out, folder, bin).status).toBe(0);
    const known = readFileSync(path.join(folder, '.ssh/known_hosts'), 'utf8');
    expect(known.trim().split('\n')).toHaveLength(1);
    const config = readFileSync(path.join(folder, '.ssh/config'), 'utf8');
    expect(config.match(/^Host frank$/gmu)).toHaveLength(1);
    expect(config).toContain('StrictHostKeyChecking yes');
    expect(statSync(path.join(folder, '.ssh/id_ed25519')).mode & 0o777).toBe(0o600);
  });
});

describe('deploy systemd', () => {
  const program = '/opt/postern/bin/postern.js';
  const hasAnalyze = spawnSync('systemd-analyze', ['--version']).status === 0;

  test('prints the unit with the program, the user and the secrets in it', async () => {
    const { out, code } = await deploy(deploySystemd, {
      program,
      user: 'ai',
      credential: 'anthropic=/etc/postern/secrets/anthropic, openai=/etc/postern/secrets/openai',
    });
    expect(code).toBe(0);
    expect(out).toContain(`ExecStart=${process.execPath} ${program} up --log json\n`);
    expect(out).toContain('User=ai\nGroup=ai\n');
    expect(out).toContain('LoadCredential=openai:/etc/postern/secrets/openai\n');
  });

  test('installs it once and leaves it alone afterwards', async () => {
    const unitFolder = path.join(box, 'units');
    const options = { program, install: true, unitFolder };
    expect((await deploy(deploySystemd, options)).err).toContain('Wrote');
    expect((await deploy(deploySystemd, options)).err).toContain('is as it should be');
    expect(readdirSync(unitFolder)).toEqual(['postern.service']);
  });

  test.each([
    [{ program: 'relative.js' }, '--program'],
    [{ program, user: 'Root User' }, '--user'],
    [{ program, credential: 'x=relative' }, '--credential'],
    [{ program: '/opt/a b.js' }, '--program'],
  ])('%j is refused', async (options, says) => {
    const { code, err } = await deploy(deploySystemd, options);
    expect([code, err]).toEqual([2, expect.stringContaining(says)]);
  });

  test.skipIf(!hasAnalyze)('every unit scores 1.5 or better and verifies', () => {
    const folder = path.join(root, 'deploy/systemd');
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.service'))) {
      const file = path.join(folder, name);
      expect(existsSync(file)).toBe(true);
      execFileSync('systemd-analyze', ['security', '--offline=true', '--threshold=15', file]);
    }
  });
});

/** The checkers, run on guides that others deploy by: each names the faults that its guide is known for. Ours have none. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import type { JsonValue } from '@postern/core/base';
import { checkReport } from '@postern/core/policy/report';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { importHeadscale } from '../../packages/postern/src/import/index.ts';
import { composeRules, readCompose, readDockerRun } from '../../tools/deploy/compose/index.ts';
import { serveRules } from '../../tools/deploy/serve/index.ts';
import { windowsRules } from '../../tools/deploy/windows/index.ts';

const vectors = process.env['POSTERN_VECTORS'];
const folder = vectors === undefined ? '' : path.resolve(vectors, '../seeds');
const guides = existsSync(folder)
  ? readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'utf8'))
  : [];
const ours = path.resolve(import.meta.dirname, '../../deploy');

/** The text from a line that begins so to the end of its block. */
function snippet(begins: RegExp, ends: RegExp): string {
  for (const guide of guides) {
    const from = begins.exec(guide);
    if (from === null) continue;
    const rest = guide.slice(from.index);
    const to = ends.exec(rest);
    return rest.slice(0, to?.index ?? rest.length);
  }
  throw new Error(`no guide has ${begins.source}`);
}

describe.skipIf(guides.length === 0)('what the guides show', () => {
  test('the Compose file of the sidecar', () => {
    const file = readCompose(parse(snippet(/^services:$/mu, /^```/mu)));
    const names = composeRules
      .filter((rule) => rule.check(file).length > 0)
      .map(({ name }) => name);
    expect(names).toEqual([
      'read-only-root',
      'no-capabilities',
      'no-new-privileges',
      'not-root',
      'bounded',
      'logs-end',
      'has-a-healthcheck',
      'image-has-a-version',
      'secrets-are-files',
      'no-device',
      'serve-by-socket-in-userspace',
      'node-keeps-its-state',
    ]);
  });

  test('the Serve configuration', () => {
    const serve: unknown = JSON.parse(snippet(/^\{\n {2}"TCP"/mu, /^```/mu));
    expect(serveRules.flatMap((rule) => rule.check(serve))).toEqual([
      'Web has "/" where HOST:PORT belongs',
      '/ has a handler "Proxy", which is no path',
      'TCP opens no port',
    ]);
  });

  test('the policy', () => {
    const text = snippet(/^\{\n {2}"acls"/mu, /^```/mu);
    const report = checkReport({
      text,
      inventory: { users: [], nodes: [] },
      engine: undefined,
      names: undefined,
      sha256Hex: () => '',
    });
    const found = JSON.stringify(report.findings);
    expect(report.valid).toBe(false);
    expect(found).toMatch(/group:devs/u);
    expect(found).toMatch(/tag:ci/u);
  });

  test('the containers of the private cloud', () => {
    for (const role of ['VPC_SERVER_ENABLED=true', 'VPC_NODE_NAME=my-node']) {
      const command = snippet(
        new RegExp(String.raw`^docker run -d \\\n {2}-e ${role}`, 'mu'),
        /^```/mu,
      );
      const file = readDockerRun(command);
      const names = composeRules
        .filter((rule) => rule.check(file).length > 0)
        .map(({ name }) => name);
      expect(names).toEqual(
        expect.arrayContaining([
          'not-privileged',
          'no-docker-socket',
          'not-root',
          'image-has-a-version',
        ]),
      );
    }
  });

  test('the range of its network', () => {
    const yaml = parse(snippet(/^server_url: http/mu, /^```/mu)) as JsonValue;
    const { notes } = importHeadscale(yaml, {});
    expect(notes.filter(({ at }) => at === 'prefixes.v4').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^100\.128\.0\.0\/10 is not within 100\.64\.0\.0\/10/u),
    ]);
  });

  test('the PowerShell that opens Windows', () => {
    const text = snippet(/^## 4\. Windows SSH Setup/mu, /^3\. {2}\*\*Verify/mu);
    expect(
      windowsRules.filter((rule) => rule.check(text) !== undefined).map(({ name }) => name),
    ).toEqual([
      'no-key-in-the-text',
      'access-list-inherits-nothing',
      'groups-by-id',
      'key-once',
      'firewall-names-who',
      'no-passwords',
      'no-tailscale-ssh-server',
    ]);
  });
});

describe('what we ship', () => {
  const windows = readFileSync(path.join(ours, 'ssh/windows.ps1'), 'utf8');
  const serve = readFileSync(path.join(ours, 'compose/sidecar/tailscale/serve.json'), 'utf8');

  test('keeps the rules of PowerShell and of Serve', () => {
    expect(windowsRules.flatMap((rule) => rule.check(windows) ?? [])).toEqual([]);
    expect(serveRules.flatMap((rule) => rule.check(JSON.parse(serve)))).toEqual([]);
  });

  test.each([
    ['web-is-by-host-and-port', ':80"', '"'],
    ['proxies-to-the-socket', 'unix:/var/lib/postern/run/serve.sock', 'http://127.0.0.1:8080'],
    ['handlers-are-by-path', '"/"', '"Proxy"'],
    ['no-funnel', 'false', 'true'],
    ['ports-are-opened', '"80": {', '"81": {'],
  ])('%s catches its own mutant', (name, stands, says) => {
    expect(serve).toContain(stands);
    const mutant: unknown = JSON.parse(serve.replaceAll(stands, says));
    const caught = serveRules.filter((rule) => rule.check(mutant).length > 0);
    expect(caught.map((rule) => rule.name)).toContain(name);
  });

  test.each([
    [
      'no-key-in-the-text',
      '$ErrorActionPreference',
      `# ssh-ed25519 ${'A'.repeat(60)}\n$ErrorActionPreference`,
    ],
    ['access-list-inherits-nothing', 'SetAccessRuleProtection($true, $false)', 'ToString()'],
    ['groups-by-id', "'S-1-5-18', 'S-1-5-32-544') {", "'NT AUTHORITY\\SYSTEM', 'x') {"],
    [
      'key-once',
      'Set-Content -Path $keyFile -Value (@',
      'Add-Content -Path authorized_keys -Value (@',
    ],
    ['firewall-names-who', '-RemoteAddress', '-Profile'],
    ['no-passwords', "PasswordAuthentication = 'no'", "PasswordAuthentication = 'yes'"],
    ['no-tailscale-ssh-server', '# --- 5. the key', 'tailscale set --ssh\n# --- 5. the key'],
  ])('%s catches its own mutant, and no other rule does', (name, stands, says) => {
    expect(windows).toContain(stands);
    const mutant = windows.replaceAll(stands, () => says);
    expect(
      windowsRules.filter((rule) => rule.check(mutant) !== undefined).map((rule) => rule.name),
    ).toEqual([name]);
  });
});

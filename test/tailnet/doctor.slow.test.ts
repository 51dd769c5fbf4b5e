/** `postern doctor network` on a machine whose network is broken in one way after the other. */
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, missingForLab, type Place } from './lab.ts';
import { PosternUp } from './postern-up.ts';
import { programs } from './programs.ts';
import { StockClient } from './stock-client.ts';

const found = await programs('tailscale');
const missing = (await missingForLab()) ?? (found.found ? undefined : found.why);
if (missing !== undefined && process.env['POSTERN_REQUIRE_TAILNET'] === '1')
  throw new Error(missing);
const folder = found.found ? found.folder : '';
const title = (text: string): string =>
  missing === undefined ? text : `${text} (skipped: ${missing})`;
const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');

interface Finding {
  readonly id: string;
  readonly verdict: string;
  readonly what: string;
  readonly next?: string;
}

describe.skipIf(missing !== undefined)(title('a look at the network of a machine'), () => {
  let lab: Lab;
  let up: PosternUp;
  let box: Place;
  let client: StockClient;
  let stateDir: string;

  async function postern(...words: string[]): Promise<{ code: number; out: string; err: string }> {
    const env = [
      `POSTERN_STATE=${stateDir}`,
      `TS_SOCKET=${path.join(box.folder, 'ts', 's')}`,
      `PATH=${folder}:${process.env['PATH'] ?? ''}`,
    ];
    return box.run(['env', ...env, process.execPath, main, ...words]);
  }

  async function look(): Promise<Record<string, Finding>> {
    const said = await postern('--json', 'doctor', 'network');
    const { findings } = JSON.parse(said.out) as { findings: Finding[] };
    return Object.fromEntries(findings.map((each) => [each.id, each]));
  }

  beforeAll(async () => {
    lab = await Lab.open();
    stateDir = path.join(lab.folder, 'state');
    up = await PosternUp.start(lab.hub, {
      config: { engine: {} },
      policy: { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] },
    });
    box = await lab.addMachine('box');
  }, 120_000);
  afterAll(async () => {
    await up?.close();
    await lab?.close();
  }, 60_000);

  test('tailscaled is there and does not run', async () => {
    const { tailscaled } = await look();
    expect(tailscaled).toMatchObject({ verdict: 'fail', what: 'No tailscaled answers.' });
    expect(tailscaled?.next).toContain('systemctl enable --now tailscaled');
  });

  test('it runs and is not logged in', async () => {
    client = await StockClient.start(box, { programs: folder });
    expect((await look())['logged-in']).toMatchObject({ verdict: 'fail' });
  });

  test('it is well', async () => {
    await client.up(up.url, [
      `--auth-key=${await up.key('--user', 'a@example.com')}`,
      '--accept-dns',
    ]);
    const findings = await look();
    const bad = Object.values(findings).filter(({ verdict }) => verdict === 'fail');
    expect(bad).toEqual([]);
    expect(findings).toMatchObject({
      'logged-in': { verdict: 'pass' },
      coordination: { verdict: 'pass' },
      'magic-dns': { verdict: 'pass' },
      udp: { verdict: 'pass' },
      'wireguard-port': { verdict: 'pass' },
    });
  }, 60_000);

  test('Serve is set up to the socket, whose listener is missing yet', async () => {
    const done = await postern('serve', 'setup');
    expect(done.code, done.err).toBe(0);
    expect(done.out).toBe('http://box.mesh.internal/\n');
    expect(done.err).toContain('serve.sock yet');
    expect((await look())['serve-target']).toMatchObject({
      verdict: 'fail',
      what: expect.stringContaining('where nobody listens'),
    });
    // Once more is no change.
    expect((await postern('serve', 'setup')).code).toBe(0);
    await client.cli(['serve', 'reset']);
  }, 60_000);

  test('Serve leads to a TCP port', async () => {
    const set = await client.cli(['serve', '--bg', '--http=80', '8080']);
    expect(set.code, set.err).toBe(0);
    expect((await look())['serve-target']).toMatchObject({
      verdict: 'fail',
      what: expect.stringContaining('a TCP port of Postern'),
      next: 'postern serve setup',
    });
    const refused = await postern('serve', 'setup');
    expect(refused.err).toContain('serves something else already');
    await client.cli(['serve', 'reset']);
  }, 60_000);

  test('Postern listens on every address', async () => {
    const child = box.start([process.execPath, '-e', 'require("net").createServer().listen(8080)']);
    await expect
      .poll(async () => (await look())['bind']?.verdict, { timeout: 10_000 })
      .toBe('fail');
    child.kill('SIGKILL');
  }, 120_000);

  test('MagicDNS is off', async () => {
    expect((await up.cli('network', 'dns', 'set', '--magic', 'off')).code).toBe(0);
    await expect
      .poll(async () => (await look())['magic-dns']?.what, { timeout: 15_000 })
      .toBe('MagicDNS is off: the network gives no names.');
    expect((await up.cli('network', 'dns', 'set', '--magic', 'on')).code).toBe(0);
    await expect
      .poll(async () => (await look())['magic-dns']?.verdict, { timeout: 15_000 })
      .toBe('pass');
  }, 60_000);

  test('UDP is blocked', async ({ skip }) => {
    const rules = 'add table inet t; add chain inet t o { type filter hook output priority 0; }';
    const made = await box.run([
      'nft',
      `${rules}; add rule inet t o oifname eth0 meta l4proto udp drop`,
    ]);
    if (made.code !== 0) skip(`nft: ${made.err}`);
    expect((await look())['udp']).toMatchObject({
      verdict: 'fail',
      what: expect.stringContaining('UDP is blocked on the way'),
    });
    await box.must(['nft', 'delete table inet t']);
    expect((await look())['udp']?.verdict).toBe('pass');
  }, 60_000);

  test('the coordination server is away, and is back', async () => {
    await up.kill();
    expect((await look())['coordination']).toMatchObject({
      verdict: 'fail',
      what: expect.stringContaining('it cannot be reached'),
    });
    await up.boot();
    expect((await look())['coordination']?.verdict).toBe('pass');
  }, 60_000);

  test('the key of the machine is taken from it', async () => {
    expect((await up.cli('node', 'expire', 'box')).code).toBe(0);
    await expect
      .poll(async () => (await look())['logged-in']?.verdict, { timeout: 20_000 })
      .toBe('fail');
  }, 120_000);
});

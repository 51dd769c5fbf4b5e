/** The commands about the network, against a whole Postern with machines on it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import { freePort } from '../fakes/free-port.ts';
import type { TestGateway } from '../conformance/gateway.ts';
import { startGateway } from '../conformance/gateway.ts';
import { cli, newFolder, up } from './process.ts';

let net: TestGateway;
let networkUrl: string;
const clients: ControlClient[] = [];

beforeAll(async () => {
  const address = `127.0.0.1:${await freePort()}`;
  networkUrl = `http://${address}`;
  const off = { stunAddress: 'off', derpAddress: 'off' };
  net = await startGateway({
    config: { engine: { url: networkUrl, address, ...off, deviceApproval: true } },
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  const { nodes } = (await json('node', 'list')) as { nodes: { id: string }[] };
  for (const { id } of nodes) await run('node', 'delete', id);
});
afterAll(() => net.stop());

const run = (...words: string[]) => cli(words, { stateDir: net.stateDir });
const json = async (...words: string[]): Promise<unknown> => {
  const { code, out, err } = await run(...words, '--json');
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return JSON.parse(out);
};

async function connected(name: string): Promise<ControlClient> {
  const client = await ControlClient.connect({ url: networkUrl, machine: newMachine(name) });
  clients.push(client);
  return client;
}

async function joined(name: string, ...words: string[]): Promise<ControlClient> {
  const key = await run('network', 'key', 'create', ...words);
  expect(key.code).toBe(0);
  const client = await connected(name);
  const answer = await client.register({ authKey: key.out.trim() });
  expect(answer).toMatchObject({ Error: '' });
  client.follow();
  await client.update({ endpoints: ['192.0.2.1:41641'] });
  return client;
}

const alice = ['--user', 'alice@example.com'] as const;

describe('with a network', () => {
  test('a key is made, told once, listed without its secret, used and revoked', async () => {
    const made = await run('network', 'key', 'create', ...alice);
    expect(made.code).toBe(0);
    expect(made.out).toMatch(/^pstauth-[A-Za-z0-9_-]{20,}\n$/);
    expect(made.err).toContain(
      `tailscale up --login-server=${networkUrl} --auth-key=${made.out.trim()}`,
    );
    const listed = await run('network', 'key', 'list');
    expect(listed.out).toMatch(/^ID +KEY +FOR +KIND +MADE +ENDS +STATE +DESCRIPTION\npak_/);
    expect(listed.out).toMatch(/alice@example\.com +once .* active/);
    expect(listed.out).not.toContain(made.out.trim());
    const [key] = (await json('network', 'key', 'list')) as { id: string }[];
    const revoked = await run('network', 'key', 'revoke', key?.id ?? '');
    expect(revoked).toMatchObject({ code: 0, out: expect.stringContaining('Revoked: pak_') });
    expect((await run('network', 'key', 'list')).out).toContain('There are no keys that count');
    expect((await run('network', 'key', 'list', '--all')).out).toContain('revoked');
    const client = await connected('late');
    expect(await client.register({ authKey: made.out.trim() })).toMatchObject({
      Error: expect.stringMatching(/revoked/),
    });
    const kinds = ['--tags', 'tag:ci', '--reusable', '--ephemeral', '--needs-approval'] as const;
    const words = [...kinds, '--expires', '2d', '--description', 'for ci'];
    expect(await json('network', 'key', 'create', ...words)).toMatchObject({
      key: { tags: ['tag:ci'], reusable: true, ephemeral: true, pre_approved: false },
      secret: expect.stringMatching(/^pstauth-/),
    });
  });

  test('machines are listed, shown, renamed, tagged, expired and forgotten', async () => {
    expect((await run('node', 'list')).out).toContain('No machine has joined');
    await joined('laptop', ...alice);
    const listed = await run('node', 'list');
    expect(listed.out).toMatch(/^NAME +ADDRESS +OWNER +SYSTEM +ONLINE +STATE +ROUTES\n/);
    expect(listed.out).toMatch(/laptop +100\.64\.0\.\d+ +alice@example\.com +\S+ +yes +good +-/);
    expect((await run('node', 'list', '--waiting')).out).toBe('Nothing waits.\n');
    expect(await json('node', 'list')).toMatchObject({
      nodes: [{ name: 'laptop', user: 'alice@example.com', online: true }],
      waiting: [],
    });
    const page = await run('node', 'show', 'laptop');
    expect(page.out).toMatch(/^name +laptop\.mesh\.internal\nid +n\d+\nowner/);
    expect(await run('node', 'rename', 'laptop', 'books')).toMatchObject({
      code: 0,
      out: 'It is called books.mesh.internal now.\n',
    });
    expect((await run('node', 'rename', 'books')).out).toContain('laptop.mesh.internal');
    expect((await run('node', 'tag', 'laptop', 'tag:ci,tag:build')).out).toContain(
      'tag:build, tag:ci',
    );
    expect((await run('node', 'expire', 'laptop')).code).toBe(0);
    expect((await run('node', 'list')).out).toContain('expired');
    expect((await run('node', 'delete', 'laptop')).out).toBe('Forgotten: laptop.\n');
    expect(await run('node', 'show', 'laptop')).toMatchObject({
      code: 1,
      err: expect.stringContaining('There is no node laptop'),
    });
  });

  test('a machine without a key waits at its sign-in page until it is let in', async () => {
    const client = await connected('guest');
    const answer = (await client.register({})) as { AuthURL: string };
    expect(answer.AuthURL).toContain(`${networkUrl}/register/`);
    const waiting = await run('node', 'list', '--waiting');
    const id = answer.AuthURL.slice(answer.AuthURL.lastIndexOf('/') + 1);
    expect(waiting.out).toContain(`postern node approve ${id} --user LOGIN`);
    expect((await run('network', 'status')).out).toMatch(/waiting +0 for approval, 1 at their/);
    expect((await run('node', 'approve', answer.AuthURL)).code).toBe(1);
    const both = await run('node', 'approve', id, ...alice, '--tags', 'tag:x');
    expect(both.code).toBe(2);
    const approved = await run('node', 'approve', answer.AuthURL, ...alice);
    expect(approved).toMatchObject({
      code: 0,
      out: 'Approved: guest.mesh.internal (alice@example.com).\n',
    });
    await joined('second', ...alice, '--needs-approval');
    expect((await run('node', 'list')).out).toMatch(/second .* waits for approval/);
    expect((await run('node', 'approve', 'second')).code).toBe(0);
    expect((await run('node', 'list', '--waiting')).out).toBe('Nothing waits.\n');
  });

  test('routes are shown and allowed', async () => {
    await joined('router', ...alice);
    expect((await run('node', 'routes', 'router')).out).toContain('offers to route nothing');
    const allowed = await run('node', 'routes', 'router', '10.0.0.0/24');
    expect(allowed.out).toMatch(/^PREFIX +OFFERED +ALLOWED\n10\.0\.0\.0\/24 +no +yes\n$/);
    expect((await run('node', 'routes', 'router', '--none')).out).toContain('nothing');
    expect((await run('node', 'routes', 'router', '--all', '--none')).code).toBe(2);
    expect((await run('node', 'routes', 'router', 'fish')).code).toBe(1);
  });

  test('status and url say where it is; a phone gets a code', async () => {
    const status = await run('network', 'status');
    expect(status.out).toContain(`url           ${networkUrl}`);
    expect(status.out).toContain('none: no machine reaches another');
    expect(await json('network', 'status')).toMatchObject({ running: true, nodes: 0 });
    expect(await run('network', 'url')).toEqual({
      code: 0,
      out: `${networkUrl}\n`,
      err: '',
    });
    const code = await run('network', 'url', '--qr');
    expect(code.out).toMatch(/[█▀▄]{10}/);
    expect(await json('network', 'url')).toEqual({ url: networkUrl });
    const terminal = await cli(['network', 'url'], { stateDir: net.stateDir, isTerminal: true });
    expect(terminal.out).toMatch(/[█▀▄]{10}/);
    const key = await run('network', 'key', 'create', ...alice, '--qr');
    expect(key.out).toMatch(/^pstauth-\S+\n\n[█▀▄ \n]+$/);
  });

  test('names are told as they were set; what is not named stays', async () => {
    const dnsSet = ['network', 'dns', 'set'] as const;
    const set = await run(
      ...dnsSet,
      '--nameservers',
      '9.9.9.9',
      '--override',
      'on',
      '--split',
      'corp.example=10.0.0.53+10.0.0.54',
    );
    expect({ code: set.code, err: set.err }).toEqual({ code: 0, err: '' });
    expect(set.out).toContain('9.9.9.9, instead of their own');
    expect((await run('network', 'dns', 'set', '--records', 'wiki=100.64.0.7')).code).toBe(0);
    expect(await json('network', 'dns', 'show')).toMatchObject({
      nameservers: ['9.9.9.9'],
      override_local: true,
      routes: [{ domain: 'corp.example', resolvers: ['10.0.0.53', '10.0.0.54'] }],
      extra_records: [{ name: 'wiki', type: 'A', value: '100.64.0.7' }],
    });
    expect((await run('network', 'dns', 'set', '--split', 'none')).out).toMatch(/split +none\n/);
    expect((await run('network', 'dns', 'set')).code).toBe(2);
    expect((await run('network', 'dns', 'set', '--magic', 'maybe')).code).toBe(2);
    expect((await run('network', 'dns', 'set', '--split', 'corp')).code).toBe(2);
  });
});

describe('without one', () => {
  test('exit codes tell a missing Postern from a missing network and a wrong command', async () => {
    const nobody = { stateDir: await newFolder() };
    expect((await cli(['node', 'list'], nobody)).code).toBe(3);
    expect((await cli(['network', 'status'], nobody)).code).toBe(3);
    expect((await cli(['network', 'key', 'create'], nobody)).code).toBe(2);
    expect((await cli(['network', 'key'], nobody)).code).toBe(2);
    const gate = await up();
    expect(await gate.cli('network', 'url')).toMatchObject({
      code: 1,
      err: expect.stringContaining('postern up --url URL'),
    });
    expect((await gate.cli('network', 'status')).out).toContain('There is no network');
    expect((await gate.cli('node', 'list')).out).toContain('There is no network');
  });

  test('help has examples on every level', async () => {
    const help = await cli(['network', 'key', 'create', '--help']);
    expect(help.code).toBe(0);
    expect(help.out).toContain('postern network key create --user alice@example.com');
    expect((await cli(['network', 'key', '--help'])).out).toContain('create [options]');
  });
});

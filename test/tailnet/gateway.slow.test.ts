/** The gateway on its own network: who asks over the mesh is known, and judged, without any key. */
import { readFile, writeFile } from 'node:fs/promises';
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

const policy = {
  groups: { 'group:research': ['alice@example.com'] },
  tagOwners: { 'tag:gateway': [], 'tag:ci': [] },
  grants: [
    { src: ['*'], dst: ['tag:gateway'], ip: ['tcp:80', 'tcp:8080', 'icmp:*'] },
    {
      src: ['group:research'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
    // Not about the gateway: nobody may call anything by it.
    {
      src: ['bob@example.com'],
      dst: ['tag:ci'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    },
    {
      src: ['tag:ci'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['builtin/*'], maxOutputTokens: 64 }] },
    },
  ],
};

interface Said {
  readonly status: number;
  readonly body: string;
}

async function ask(place: Place, url: string, words: readonly string[] = []): Promise<Said> {
  const said = await place.run(['curl', '-sS', '-m', '6', '-w', '\n%{http_code}', ...words, url]);
  if (said.code !== 0) return { status: 0, body: said.err };
  const at = said.out.lastIndexOf('\n');
  return { status: Number(said.out.slice(at + 1)), body: said.out.slice(0, at) };
}

const question = ['-d', '{"prompt":"I am worried about my build"}'] as const;
const withDevice = { engine: {} };

/** Whether somebody is answered within a minute, however often a request fails before. */
function answers(place: Place): Promise<void> {
  const status = async (): Promise<number> =>
    (await ask(place, 'http://ai/whoami', ['-m', '2'])).status;
  return expect.poll(status, { timeout: 60_000, interval: 200 }).toBe(200);
}

interface Site {
  readonly lab: Lab;
  readonly up: PosternUp;
  readonly alice: StockClient;
  readonly bob: StockClient;
  readonly ci: StockClient;
}

async function people(lab: Lab, up: PosternUp): Promise<Omit<Site, 'lab' | 'up'>> {
  const join = async (name: string, ...words: string[]): Promise<StockClient> => {
    const client = await StockClient.start(await lab.addMachine(name), { programs: folder });
    await client.up(up.url, [`--auth-key=${await up.key(...words)}`]);
    return client;
  };
  const [alice, bob, ci] = await Promise.all([
    join('alice', '--user', 'alice@example.com'),
    join('bob', '--user', 'bob@example.com'),
    join('ci', '--tags', 'tag:ci'),
  ]);
  for (const each of [alice, bob, ci]) {
    await each.until('the gateway is there', ({ Peer }) =>
      Object.values(Peer ?? {}).some(({ DNSName }) => DNSName.startsWith('ai.')),
    );
  }
  return { alice, bob, ci };
}

/** What must hold however the gateway is on the network. */
function asksOverTheMesh(site: () => Site): void {
  test('a user is known by the machine, and answered without a key', async () => {
    const { alice } = site();
    const whoami = await ask(alice.place, 'http://ai/whoami');
    expect(whoami.status, whoami.body).toBe(200);
    expect(JSON.parse(whoami.body)).toMatchObject({
      caller: { authority: 'tailnet', id: 'alice@example.com' },
    });
    const answer = await ask(alice.place, 'http://ai/ask', question);
    expect(answer.status, answer.body).toBe(200);
    expect((await ask(alice.place, 'http://ai.mesh.internal/whoami')).status).toBe(200);
  });

  test('somebody else on the same network is told no, by the policy', async () => {
    const { bob } = site();
    const answer = await ask(bob.place, 'http://ai/ask', question);
    expect(answer.status, answer.body).toBe(403);
    expect(answer.body).toContain('access_denied');
  });

  test('a tagged machine is its tags', async () => {
    const { ci } = site();
    const whoami = await ask(ci.place, 'http://ai/whoami');
    expect(JSON.parse(whoami.body)).toMatchObject({
      caller: { authority: 'tailnet', kind: 'node', selectors: ['tag:ci'] },
    });
    expect((await ask(ci.place, 'http://ai/ask', question)).status).toBe(200);
  });

  test('nobody becomes another by headers, and no page of another site asks in their name', async () => {
    const { bob } = site();
    const claims = ['-H', 'Tailscale-User-Login: alice@example.com', ...question];
    expect((await ask(bob.place, 'http://ai/ask', claims)).status).toBe(403);
    const page = ['-H', 'Origin: https://evil.example', ...question];
    expect((await ask(site().alice.place, 'http://ai/ask', page)).status).toBe(403);
  });
}

describe.skipIf(missing !== undefined)(title('through the tailscaled of the machine'), () => {
  let site: Site;
  let daemon: StockClient;
  beforeAll(async () => {
    const lab = await Lab.open();
    daemon = await StockClient.start(lab.hub, { programs: folder });
    const up = await PosternUp.start(lab.hub, {
      config: withDevice,
      policy,
      words: ['--join'],
      env: { TS_SOCKET: path.join(lab.hub.folder, 'ts', 's') },
    });
    await up.onNetwork();
    site = { lab, up, ...(await people(lab, up)) };
  }, 180_000);
  afterAll(async () => {
    await site?.up.close();
    await site?.lab.close();
  });

  test('it is called ai, tagged, and listens on its own addresses', async () => {
    const facts = await site.up.onNetwork();
    expect(facts).toMatchObject({ mode: 'kernel', name: 'ai.mesh.internal' });
    const status = await site.up.cli('status');
    expect(status.out).toMatch(/tailnet +100\.64\.0\.\d+:80/);
    expect(status.out).toMatch(/tailnet +\[fd7a:115c:a1e0::\w+\]:80/);
    expect((await site.up.json('node', 'show', 'ai'))['tags']).toEqual(['tag:gateway']);
  });

  asksOverTheMesh(() => site);

  test('the other address family is the same person', async () => {
    const { addresses } = (await site.up.onNetwork()) as { addresses: readonly string[] };
    const six = addresses.find((each) => each.includes(':')) ?? '';
    const whoami = await ask(site.alice.place, `http://[${six}]/whoami`);
    expect(JSON.parse(whoami.body)).toMatchObject({ caller: { id: 'alice@example.com' } });
  });

  test('the capability shows in whois', async () => {
    const whois = await daemon.cli(['whois', '--json', await site.alice.address()]);
    expect(JSON.parse(whois.out)).toMatchObject({
      UserProfile: { LoginName: 'alice@example.com' },
      CapMap: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    });
  });

  test('a policy by what the network knows of people counts for their next request', async () => {
    const { up, bob } = site;
    const file = path.join(up.stateDir, 'policy.hujson');
    const members = {
      src: ['autogroup:member'],
      dst: ['tag:gateway'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
    };
    await writeFile(file, JSON.stringify({ ...policy, grants: [...policy.grants, members] }));
    const applied = await up.cli('policy', 'apply', file);
    expect(applied.code, applied.err + applied.out).toBe(0);
    expect((await ask(bob.place, 'http://ai/ask', question)).status).toBe(200);
  });

  test('who is removed from the network is nobody within seconds', async () => {
    const { up, ci } = site;
    expect((await ask(ci.place, 'http://ai/whoami')).status).toBe(200);
    expect((await up.cli('node', 'delete', 'ci')).code).toBe(0);
    const start = performance.now();
    let status = 200;
    while (status === 200 && performance.now() - start < 10_000) {
      ({ status } = await ask(ci.place, 'http://ai/whoami', ['-m', '1']));
    }
    expect([0, 401]).toContain(status);
    expect(performance.now() - start).toBeLessThan(4_000);
  });

  test('without its tailscaled nobody gets in, and everybody does again with it', async () => {
    const { alice } = site;
    await daemon.stopDaemon();
    expect((await ask(alice.place, 'http://ai/ask', [...question, '-m', '4'])).status).toBe(0);
    await daemon.startDaemon();
    await site.up.onNetwork();
    await answers(alice.place);
    expect((await ask(alice.place, 'http://ai/ask', question)).status).toBe(200);
  }, 120_000);
});

describe.skipIf(missing !== undefined)(title('through a tailscaled of its own'), () => {
  let site: Site;
  beforeAll(async () => {
    const lab = await Lab.open();
    const up = await PosternUp.start(lab.hub, {
      config: withDevice,
      policy,
      words: ['--join'],
      env: {
        PATH: `${folder}:${process.env['PATH'] ?? ''}`,
        TS_SOCKET: path.join(lab.hub.folder, 'none'),
        TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
      },
    });
    await up.onNetwork();
    site = { lab, up, ...(await people(lab, up)) };
  }, 180_000);
  afterAll(async () => {
    await site?.up.close();
    await site?.lab.close();
  });

  test('it is called ai, and comes in by Serve to a socket', async () => {
    const facts = await site.up.onNetwork();
    expect(facts).toMatchObject({ mode: 'userspace', name: 'ai.mesh.internal' });
    expect(facts).not.toHaveProperty('problem');
    expect((await site.up.cli('status')).out).toMatch(/serve +\S+\/run\/serve\.sock/);
  });

  asksOverTheMesh(() => site);

  test('the port of the gateway, which userspace mode dials from loopback, knows them as well', async () => {
    const whoami = await ask(site.alice.place, 'http://ai:8080/whoami');
    expect(JSON.parse(whoami.body)).toMatchObject({ caller: { id: 'alice@example.com' } });
    const { body, status } = await ask(site.bob.place, 'http://ai:8080/ask', question);
    expect(status, body).toBe(403);
  });

  test('removed by mistake, the gateway joins again by itself', async () => {
    const { up, alice } = site;
    expect((await up.cli('node', 'delete', 'ai')).code).toBe(0);
    const isBack = async (): Promise<boolean> =>
      (await up.cli('node', 'show', 'ai')).code === 0 &&
      (await ask(alice.place, 'http://ai/whoami', ['-m', '2'])).status === 200;
    await expect.poll(isBack, { timeout: 75_000, interval: 500 }).toBe(true);
  }, 90_000);

  test('a killed tailscaled is started again, and nobody joins twice', async () => {
    const { up, alice } = site;
    const pid = await daemonOf(up);
    process.kill(pid, 'SIGKILL');
    const another = async (): Promise<boolean> => ![0, pid].includes(await daemonOf(up));
    await expect.poll(another, { timeout: 30_000 }).toBe(true);
    await answers(alice.place);
    const { nodes } = await up.json('node', 'list');
    expect(nodes).toHaveLength(4);
  }, 120_000);

  test('killed and started again, Postern takes its place again; stopped, it leaves no process', async () => {
    const { up, alice } = site;
    const before = await daemonOf(up);
    await up.kill();
    await up.boot();
    await up.onNetwork();
    expect(await daemonOf(up)).not.toBe(before);
    expect(await isAlive(before)).toBe(false);
    await answers(alice.place);
    const last = await daemonOf(up);
    await up.stop();
    expect(await isAlive(last)).toBe(false);
    expect((await ask(alice.place, 'http://ai/whoami', ['-m', '3'])).status).toBe(0);
  }, 180_000);
});

async function daemonOf(up: PosternUp): Promise<number> {
  const file = path.join(up.stateDir, 'tailscaled', 'pid');
  return Number(await readFile(file, 'utf8').catch(() => '0'));
}

async function isAlive(pid: number): Promise<boolean> {
  // What has ended and was not waited for has no command line any more.
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '';
}

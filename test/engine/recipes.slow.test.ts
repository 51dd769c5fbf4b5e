/**
 * The two recipes for a gateway in a private subnet, with real programs in network namespaces: behind a subnet router
 * that leaves addresses alone, and as a node itself. Headscale coordinates; stock Tailscale clients are the machines.
 */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab, missingForLab } from '../tailnet/lab.ts';
import type { Place } from '../tailnet/lab.ts';
import { programs } from '../tailnet/programs.ts';
import { StockClient } from '../tailnet/stock-client.ts';
import { HeadscaleServer, missingHeadscale } from './headscale-server.ts';
import { PosternIn } from './postern-in.ts';

const tailscale = await programs('tailscale');
const missing =
  (await missingForLab()) ??
  (await missingHeadscale()) ??
  (tailscale.found ? undefined : tailscale.why);
const bin = tailscale.found ? tailscale.folder : '';
const title = (name: string): string =>
  missing === undefined ? name : `${name} (skipped: ${missing})`;

const gatewayAddress = '192.168.77.10';
const policy = (dst: string): string => `{
  "tagOwners": {"tag:gateway": ["alice@example.com"], "tag:router": ["alice@example.com"]},
  "grants": [
    {"src": ["alice@example.com", "bob@example.com"], "dst": [${dst}], "ip": ["tcp:80"]},
    {"src": ["alice@example.com"], "dst": ["tag:gateway"], "ip": ["tcp:80"],
     "app": {"postern.dev/cap/ai": [{"models": ["**"]}]}},
  ],
}
`;

async function get(place: Place, url: string): Promise<{ status: number; body: string }> {
  const words = ['curl', '-s', '-m', '8', '-w', '\n%{http_code}', url];
  const { out } = await place.run(words);
  const lines = out.trimEnd().split('\n');
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n') };
}

async function ask(place: Place, base: string): Promise<{ status: number; body: string }> {
  const body = '{"prompt": "I am unhappy."}';
  const words = ['curl', '-s', '-m', '8', '-w', '\n%{http_code}', '-d', body, `${base}/ask`];
  const lines = (await place.run(words)).out.trimEnd().split('\n');
  return { status: Number(lines.at(-1)), body: lines.slice(0, -1).join('\n') };
}

interface Scene {
  readonly lab: Lab;
  readonly headscale: HeadscaleServer;
  /** Of alice, and of bob. */
  readonly laptop: StockClient;
  readonly other: StockClient;
  readonly env: Readonly<Record<string, string>>;
}

async function openScene(): Promise<Scene> {
  const lab = await Lab.open();
  const headscale = await HeadscaleServer.start(lab.hub);
  const laptop = await joined(lab, headscale, 'laptop', ['alice'], ['--accept-routes']);
  const other = await joined(lab, headscale, 'other', ['bob'], ['--accept-routes']);
  const env = { HEADSCALE_URL: headscale.url, HEADSCALE_API_KEY: await headscale.apiKey() };
  return { lab, headscale, laptop, other, env };
}

async function joined(
  lab: Lab,
  headscale: HeadscaleServer,
  name: string,
  [user = '', ...flags]: readonly string[],
  words: readonly string[] = [],
): Promise<StockClient> {
  const client = await StockClient.start(await lab.addMachine(name), { programs: bin });
  const key = await headscale.joinKey(user, ...flags);
  await client.up(headscale.url, [`--auth-key=${key}`, ...words]);
  return client;
}

describe.skipIf(missing !== undefined)(title('behind a subnet router'), () => {
  let scene: Scene;
  let postern: PosternIn;
  const url = `http://${gatewayAddress}`;

  beforeAll(async () => {
    scene = await openScene();
    const { lab, headscale, env } = scene;
    const router = await joined(
      lab,
      headscale,
      'router',
      ['alice', '--tags', 'tag:router'],
      [
        '--advertise-routes=192.168.77.0/24',
        // The gateway sees who calls, not the router.
        '--snat-subnet-routes=false',
      ],
    );
    const inside = await lab.addMachine('inside');
    // Nothing leads to it but the router: no other link, and its way back is the return route.
    await inside.must(['ip', 'link', 'set', 'eth0', 'down']);
    await lab.addLink(router.place, inside, ['192.168.77.1/24', `${gatewayAddress}/24`]);
    await inside.must(['ip', 'route', 'replace', 'default', 'via', '192.168.77.1']);
    await router.place.must(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await lab.hub.must(['ip', 'route', 'add', '192.168.77.0/24', 'via', router.place.address]);
    postern = await PosternIn.start(inside, {
      config: {
        engine: { kind: 'headscale', join: 'off' },
        routed: { from: '192.168.77.1', address: `${gatewayAddress}:80` },
      },
      policy: policy(`"${gatewayAddress}/32"`),
      env,
    });
  }, 180_000);
  afterAll(async () => {
    await postern.close();
    await scene.lab.close();
    await scene.headscale.stop();
  });

  test('nobody comes in before the route is approved, which the gateway does', async () => {
    expect((await get(scene.laptop.place, `${url}/health`)).status).toBe(0);
    const routes = await postern.cli('node', 'routes', 'router', '--all');
    expect(routes.out).toMatch(/192\.168\.77\.0\/24 +yes +yes/);
    await expect
      .poll(async () => (await get(scene.laptop.place, `${url}/health`)).status, {
        timeout: 30_000,
      })
      .toBe(200);
  });

  test('callers are who they are, by the API of the engine, and may what the policy says', async () => {
    const who = await get(scene.laptop.place, `${url}/whoami`);
    expect(JSON.parse(who.body)).toMatchObject({ caller: { id: 'alice@example.com' } });
    const answer = await ask(scene.laptop.place, url);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject({ model: 'eliza' });
    const bob = await get(scene.other.place, `${url}/whoami`);
    expect(JSON.parse(bob.body)).toMatchObject({ caller: { id: 'bob@example.com' } });
    expect((await ask(scene.other.place, url)).status).toBe(403);
  });

  test('the policy is at the engine, whoever asks for it', async () => {
    const { out } = await postern.cli('network', 'status');
    expect(out).toMatch(/at the engine +the same/);
    expect(await scene.headscale.command('policy', 'get')).toContain('postern.dev/cap/ai');
  });

  test('while Headscale is away callers are told so with 503; when it is back they are known', async () => {
    await scene.headscale.down();
    await expect
      .poll(async () => (await get(scene.laptop.place, `${url}/whoami`)).status, {
        timeout: 20_000,
      })
      .toBe(503);
    const said = await postern.cli('node', 'list');
    expect(said.err).toMatch(/Headscale at http.* cannot be reached.*Does it run/s);
    await scene.headscale.up();
    await expect
      .poll(async () => (await get(scene.laptop.place, `${url}/whoami`)).status, {
        timeout: 20_000,
      })
      .toBe(200);
  });
});

describe.skipIf(missing !== undefined)(title('the gateway as a node'), () => {
  let scene: Scene;
  let gateway: StockClient;
  let postern: PosternIn;
  let url: string;

  beforeAll(async () => {
    scene = await openScene();
    const { lab, headscale, env } = scene;
    gateway = await joined(lab, headscale, 'ai', ['alice', '--tags', 'tag:gateway']);
    url = `http://${await gateway.address()}`;
    postern = await PosternIn.start(gateway.place, {
      config: { engine: { kind: 'headscale' } },
      policy: policy('"tag:gateway"'),
      env: { ...env, TS_SOCKET: path.join(gateway.place.folder, 'ts', 's') },
    });
  }, 180_000);
  afterAll(async () => {
    await postern.close();
    await scene.lab.close();
    await scene.headscale.stop();
  });

  test('callers reach its own address, and are who the local tailscaled says', async () => {
    await expect
      .poll(async () => (await get(scene.laptop.place, `${url}/whoami`)).status, {
        timeout: 40_000,
      })
      .toBe(200);
    const who = await get(scene.laptop.place, `${url}/whoami`);
    expect(JSON.parse(who.body)).toMatchObject({ caller: { id: 'alice@example.com' } });
    expect((await ask(scene.laptop.place, url)).status).toBe(200);
    expect((await ask(scene.other.place, url)).status).toBe(403);
  });

  test('without its tailscaled it says so, and is back on the network with it', async () => {
    await gateway.stopDaemon();
    const status = async (): Promise<string> => (await postern.cli('network', 'status')).out;
    await expect.poll(status, { timeout: 20_000 }).toMatch(/gateway +(?:down|off).*tailscaled/);
    await gateway.startDaemon();
    await expect.poll(status, { timeout: 30_000 }).toMatch(/gateway +up at 100\./);
    await expect
      .poll(async () => (await get(scene.laptop.place, `${url}/whoami`)).status, {
        timeout: 40_000,
      })
      .toBe(200);
  });

  test('it does so by both families of addresses', async () => {
    const addresses = (await gateway.status()).TailscaleIPs ?? [];
    const v6 = addresses.find((each) => each.includes(':')) ?? '';
    const who = await get(scene.laptop.place, `http://[${v6}]/whoami`);
    expect(JSON.parse(who.body)).toMatchObject({ caller: { id: 'alice@example.com' } });
  });

  test('a change of the policy at Headscale raises an alarm, and the next one here waits for it', async () => {
    await scene.headscale.command('policy', 'get');
    const other = '{"grants": [{"src": ["*"], "dst": ["*"], "ip": ["*"]}]}';
    const { writeFile } = await import('node:fs/promises');
    const file = `${scene.headscale.config}.other`;
    await writeFile(file, other);
    await scene.headscale.command('policy', 'set', '-f', file);
    const { out } = await postern.cli('network', 'status');
    expect(out).toMatch(/somebody else changed it there/);
    const shown = await postern.cli('policy', 'show');
    expect(shown.code).toBe(0);
    const plan = await postern.cli('policy', 'plan');
    expect(plan.err).toMatch(/--over [0-9a-f]{64}/);
  });
});

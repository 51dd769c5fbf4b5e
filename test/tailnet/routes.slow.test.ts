import { beforeAll, describe, expect, test } from 'vitest';
import type { Place } from './lab.ts';
import { hasSsh, sshInto } from './ssh.ts';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

/** 192.168.77.0/24 at site 7, as `tailscale debug via` writes it. */
const via = 'fd7a:115c:a1e0:b1a:0:7:c0a8:4d00/120';
const viaInside = 'http://[fd7a:115c:a1e0:b1a:0:7:c0a8:4d0a]/';
const exit = ['0.0.0.0/0', '::/0'];

const policy = {
  grants: [{ src: ['*'], dst: ['*', '192.168.77.0/24', via, 'autogroup:internet'], ip: ['*'] }],
  ssh: [
    {
      action: 'accept',
      src: ['alice@example.com'],
      dst: ['tag:box'],
      users: ['root'],
    },
  ],
  tagOwners: { 'tag:box': ['alice@example.com'] },
};

describeNetwork('a subnet behind a machine', {}, (network) => {
  let a: StockClient;
  let router: StockClient;
  let inside: Place;

  beforeAll(async () => {
    await network().server.applyPolicy(policy);
    const { lab } = network();
    a = await network().join('a', { up: ['--accept-routes'] });
    router = await network().join('router', {
      up: [
        `--advertise-routes=192.168.77.0/24,${via}`,
        '--advertise-exit-node',
        '--snat-subnet-routes=false',
      ],
    });
    inside = await lab.addMachine('inside');
    await inside.must(['ip', 'link', 'set', 'eth0', 'down']);
    await lab.addLink(router.place, inside, ['192.168.77.1/24', '192.168.77.10/24']);
    await inside.must(['ip', 'route', 'replace', 'default', 'via', '192.168.77.1']);
    await router.place.must(['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
    await startWebServer(inside, 80, 'inside says');
  }, 120_000);

  const url = 'http://192.168.77.10/';

  test('is not reached before the route is approved', async () => {
    expect(await get(a.place, url, 2)).toContain('failed');
  });

  test('is reached when it is, with the address of the machine that asks', async () => {
    const approved = ['192.168.77.0/24'];
    await network().server.routeNode('n2', approved);
    await expect
      .poll(() => get(a.place, url, 1), { timeout: 10_000 })
      .toBe(`inside says ${await a.address()}`);
  });

  test('is not reached any more when the approval is taken back', async () => {
    await network().server.routeNode('n2', []);
    await expect.poll(() => get(a.place, url, 1), { timeout: 10_000 }).toContain('failed');
  });

  test('is reached by an IPv6 address that names its site, where ranges overlap', async () => {
    await network().server.routeNode('n2', [via]);
    await expect.poll(() => get(a.place, viaInside, 2), { timeout: 20_000 }).toContain('inside');
    expect(await get(a.place, url, 2)).toContain('failed');
  });

  test('is reached through an exit node, which carries everything, and only once approved', async () => {
    await network().server.routeNode('n2', []);
    const router = await a.peer('router');
    const own = router?.TailscaleIPs?.[0] ?? '';
    expect((await a.cli(['set', `--exit-node=${own}`])).code).not.toBe(0);
    await network().server.routeNode('n2', exit);
    const set = async (): Promise<number> => (await a.cli(['set', `--exit-node=${own}`])).code;
    await expect.poll(set, { timeout: 10_000 }).toBe(0);
    await expect
      .poll(() => get(a.place, url, 2), { timeout: 20_000 })
      .toBe(`inside says ${await a.address()}`);
    expect((await a.cli(['set', '--exit-node='])).code).toBe(0);
    await expect.poll(() => get(a.place, url, 1), { timeout: 10_000 }).toContain('failed');
  });
});

const isSshHere = hasSsh();

describe.skipIf(!isSshHere)(isSshHere ? 'ssh' : 'ssh (skipped: no ssh client)', () => {
  describeNetwork('by policy', {}, (network) => {
    let a: StockClient;
    let b: StockClient;

    beforeAll(async () => {
      await network().server.applyPolicy(policy);
      a = await network().join('a', { key: { login: 'alice@example.com' } });
      b = await network().join('b', { key: { login: 'bob@example.com' } });
      await network().join('box', { key: { tags: ['tag:box'] }, up: ['--ssh'] });
      await a.until('it sees the box', ({ Peer }) =>
        Object.values(Peer ?? {}).some(({ HostName }) => HostName === 'box'),
      );
    }, 120_000);

    const ssh = async (client: StockClient, who: string): Promise<string> => {
      const session = sshInto(client, `${who}@box`);
      const { code, out } = await session.ended;
      return code === 0 ? out : `failed: ${session.said()}`;
    };

    test('lets in whom the policy names, as whom it names', async () => {
      expect(await ssh(a, 'root')).toBe('in\nroot\n');
    });

    test('refuses another user of the machine, and anybody else', async () => {
      expect(await ssh(a, 'nobody')).toContain('failed');
      expect(await ssh(b, 'root')).toContain('failed');
    });

    test('follows a policy that is changed', async () => {
      await network().server.applyPolicy({ ...policy, ssh: [] });
      await expect.poll(() => ssh(a, 'root'), { timeout: 15_000 }).toContain('failed');
    });
  });
});

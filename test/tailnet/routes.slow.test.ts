import { beforeAll, describe, expect, test } from 'vitest';
import type { Place } from './lab.ts';
import { hasSsh, sshInto } from './ssh.ts';
import type { StockClient } from './stock-client.ts';
import { describeNetwork } from './suite.ts';
import { get, startWebServer } from './web-server.ts';

const policy = {
  grants: [{ src: ['*'], dst: ['*', '192.168.77.0/24'], ip: ['*'] }],
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
      up: ['--advertise-routes=192.168.77.0/24', '--snat-subnet-routes=false'],
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

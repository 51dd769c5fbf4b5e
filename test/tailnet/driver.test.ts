import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient, newMachine } from './driver/control-client.ts';
import { DerpClient } from './driver/derp-client.ts';
import { freePort } from '../fakes/free-port.ts';
import { PosternServer } from './postern-server.ts';

/** Our own client on our own server, always: the real programs are in the slow suites. */

const everybody = { grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }] };
let server: PosternServer;
const clients: ControlClient[] = [];

beforeAll(async () => {
  server = await PosternServer.start({ derpPort: await freePort() });
  await server.applyPolicy(everybody);
}, 120_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await server?.stop();
});

async function connected(name: string, machine = newMachine(name)): Promise<ControlClient> {
  const client = await ControlClient.connect({ url: server.url, machine });
  clients.push(client);
  return client;
}

async function joined(name: string, key?: string): Promise<ControlClient> {
  const client = await connected(name);
  const answer = await client.register({ authKey: key ?? (await server.createKey()) });
  expect(answer).toMatchObject({ MachineAuthorized: true, Error: '' });
  client.follow();
  await client.update({ endpoints: ['192.0.2.1:41641'] });
  return client;
}

test('machines that join see each other, and what changes comes as deltas', async () => {
  const [a, b] = [await joined('a'), await joined('b')];
  await a.until(({ peers }) => peers.size === 1);
  await b.until(({ self, peers }) => self !== undefined && peers.size === 1);
  const { fulls } = b.netmap;
  await a.update({ endpoints: ['192.0.2.77:41641'] });
  await b.until((netmap) => netmap.peer('a')?.Endpoints?.[0] === '192.0.2.77:41641');
  expect(b.netmap.fulls).toBe(fulls);
  expect(b.netmap.violations).toEqual([]);
  expect(b.netmap.self?.Addresses?.[0]).toMatch(/^100\./);
});

test('of two hundred machines with one single-use key exactly one joins', async () => {
  const key = await server.createKey({ reusable: false });
  const answers = await Promise.all(
    Array.from({ length: 200 }, async (_, i) => {
      const client = await connected(`race-${i}`);
      return client.register({ authKey: key }).finally(() => client.close());
    }),
  );
  const won = answers.filter((answer) => !answer.Error && answer.MachineAuthorized === true);
  expect(won).toHaveLength(1);
  expect(answers.filter((answer) => answer.Error)).toHaveLength(199);
}, 60_000);

describe('a node key', () => {
  test('is refused from another machine', async () => {
    const owner = await joined('owner');
    const thief = await connected('thief', { ...newMachine('thief'), node: owner.machine.node });
    const answers = [
      await thief.register().then(
        (answer) => answer.Error,
        (cause: unknown) => String(cause),
      ),
      await thief.register({ authKey: await server.createKey() }).then(
        (answer) => answer.Error,
        (cause: unknown) => String(cause),
      ),
    ];
    expect(answers.every((text) => text !== undefined && text !== '')).toBe(true);
    thief.follow();
    await thief.until((netmap) => netmap.isOver || netmap.refused !== undefined);
    expect(thief.netmap.self).toBeUndefined();
    expect(owner.netmap.isOver).toBe(false);
  });

  test('opens the relay while its machine is part of the network, and not before', async () => {
    const client = await joined('relayed');
    const { derpRegions } = await client.until(({ self }) => self !== undefined);
    const region = Object.values(derpRegions)[0] as {
      Nodes: { CertName: string; DERPPort: number; HostName: string }[];
    };
    const node = region.Nodes[0];
    if (node === undefined) throw new Error('no relay');
    const dial = async (keys = client.machine.node): Promise<DerpClient> => {
      const socket = connect({
        host: node.HostName,
        port: node.DERPPort,
        rejectUnauthorized: false,
      });
      await once(socket, 'secureConnect');
      const raw = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
      const hash = createHash('sha256').update(raw).digest('hex');
      expect(node.CertName).toBe(`sha256-raw:${hash}`);
      socket.write(
        'GET /derp HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1\r\n\r\n',
      );
      return new DerpClient(socket, keys);
    };
    const admitted = await dial();
    await admitted.admitted();
    admitted.send(admitted.key, randomBytes(100));
    await admitted.next(({ kind }) => kind === 'packet');
    const stranger = await dial(newMachine('x').node);
    await stranger.next(({ kind }) => kind === 'closed');
    const id = client.netmap.self?.StableID ?? '';
    await server.ask('DELETE', `/nodes/${id}`);
    await admitted.next(({ kind }) => kind === 'closed');
  }, 120_000);
});

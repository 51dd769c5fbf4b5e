import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ControlClient, newMachine, nodeKeyText } from '../tailnet/driver/control-client.ts';
import type { Rig } from './rig.ts';
import { allowAll, operator, startRig, value } from './rig.ts';

let rig: Rig;
let stateDir: string;
const open: ControlClient[] = [];

beforeAll(async () => {
  stateDir = await mkdtemp(path.join(tmpdir(), 'postern-coordination-'));
  rig = await startRig({ stateDir });
  await rig.applyPolicy(allowAll);
});

afterAll(async () => {
  for (const client of open) client.close();
  await rig.close();
  await rm(stateDir, { recursive: true, force: true });
});

async function client(hostname: string, machine = newMachine(hostname)): Promise<ControlClient> {
  const connected = await ControlClient.connect({ url: rig.url, machine });
  open.push(connected);
  return connected;
}

/** A machine that joined and follows its map. */
async function joined(hostname: string, authKey?: string): Promise<ControlClient> {
  const one = await client(hostname);
  const answer = await one.register({ authKey: authKey ?? (await rig.preAuthKey()) });
  expect(answer.Error).toBe('');
  await one.update({ endpoints: [`192.0.2.1:${40_000 + open.length}`] });
  one.follow();
  await one.until((map) => map.self !== undefined);
  return one;
}

async function nodeOf(one: ControlClient) {
  const node = rig.control.snapshot().network.nodesByKey.get(one.nodeKey);
  if (node === undefined) throw new Error('not a node');
  return node;
}

describe('joining', () => {
  test('of two hundred machines at once by a key for one lets in exactly one', async () => {
    const authKey = await rig.preAuthKey();
    const answers = await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const one = await ControlClient.connect({ url: rig.url, machine: newMachine(`race-${i}`) });
        const answer = await one.register({ authKey });
        one.close();
        return answer;
      }),
    );
    expect(answers.filter(({ MachineAuthorized }) => MachineAuthorized)).toHaveLength(1);
    expect(answers.filter(({ Error: why }) => /used already/.test(why ?? ''))).toHaveLength(199);
  });

  test('with the node key of another machine is refused, and so is its map', async () => {
    const owner = await joined('owner');
    const thief = newMachine('thief');
    const stolen = await client('thief', { ...thief, node: owner.machine.node });
    const answer = await stolen.register({ authKey: await rig.preAuthKey() });
    expect(answer.Error).toMatch(/another machine/);
    expect(answer.MachineAuthorized).toBe(false);
    stolen.follow();
    await stolen.until((map) => map.refused !== undefined);
    expect(stolen.netmap.refused).toBe(404);
    const health = { NodeKey: owner.nodeKey };
    expect((await stolen.session.post('/machine/update-health', health)).status).toBe(401);
    const map = {
      NodeKey: owner.nodeKey,
      Stream: false,
      OmitPeers: true,
      Endpoints: ['6.6.6.6:6'],
    };
    expect((await stolen.session.post('/machine/map', map)).status).toBe(404);
  });

  test('again keeps name and addresses; another key takes the place of the old one', async () => {
    const one = await joined('again');
    const before = await nodeOf(one);
    const machine = { ...one.machine, node: newMachine('x').node };
    const two = await client('again', machine);
    const answer = await two.register({ oldNodeKey: one.nodeKey });
    expect(answer.MachineAuthorized).toBe(true);
    const after = await nodeOf(two);
    expect(after).toMatchObject({ id: before.id, name: before.name, addresses: before.addresses });
    expect(rig.control.snapshot().network.nodesByKey.has(one.nodeKey)).toBe(false);
  });

  test('without a key gets a link, whose page says who asks, and waits until somebody lets it in', async () => {
    const one = await client('laptop');
    const { AuthURL: url = '' } = await one.register();
    expect(url).toMatch(/\/register\/[0-9a-f]{32}$/);
    const page = await fetch(url.replace(/^http:\/\/[^/]+/, rig.url));
    expect(await page.text()).toContain('laptop');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    const outcome = one.register({ followup: url });
    const [waiting] = rig.plane.coordination.pending();
    const who = { authority: 'postern', subject: 'bob@example.com', login: 'bob@example.com' };
    const admitted = await rig.plane.coordination.admit(
      waiting?.id ?? '',
      { who: { ...who, displayName: 'Bob' } },
      'local:uid:0',
    );
    expect(admitted.ok).toBe(true);
    expect((await outcome).Login?.LoginName).toBe('bob@example.com');
    expect((await outcome).MachineAuthorized).toBe(true);
  });

  test('anew makes the link before it worthless, and ends the stream of the key before it', async () => {
    const one = await client('fickle');
    const { AuthURL: first = '' } = await one.register();
    const two = await client('fickle', { ...one.machine, node: newMachine('x').node });
    const { AuthURL: second = '' } = await two.register();
    const at = (url: string): string => url.replace(/^http:\/\/[^/]+/, rig.url);
    expect((await fetch(at(first))).status).toBe(404);
    expect((await fetch(at(second))).status).toBe(200);
    const old = await joined('moved');
    const fresh = await client('moved', { ...old.machine, node: newMachine('x').node });
    expect((await fresh.register({ oldNodeKey: old.nodeKey })).MachineAuthorized).toBe(true);
    await old.until((map) => map.isOver);
  });

  test('ends with a logout, which the machine cannot undo by itself', async () => {
    const one = await joined('leaver');
    const out = await one.register({ expiry: '1970-01-01T00:02:03Z' });
    expect(out.NodeKeyExpired).toBe(true);
    expect((await one.register()).AuthURL).toMatch(/register/);
  });

  test('tags only where the policy lets the owner give them', async () => {
    const one = await client('tagger');
    const answer = await one.register({ authKey: await rig.preAuthKey(), tags: ['tag:ci'] });
    expect(answer.Error).toMatch(/requested tags \[tag:ci\] are invalid or not permitted/);
  });
});

describe('maps', () => {
  test('come whole once and then as changes', async () => {
    const a = await joined('map-a');
    const b = await joined('map-b');
    await a.until((map) => map.peer('map-b') !== undefined);
    await b.until((map) => map.peer('map-a') !== undefined);
    const { sent } = rig.plane.coordination;
    const wholes = sent.wholes;
    for (let i = 0; i < 100; i += 1) {
      const endpoint = `198.51.100.7:${20_000 + i}`;
      await b.update({ endpoints: [endpoint] });
      await a.until((map) => map.peer('map-b')?.Endpoints?.[0] === endpoint);
    }
    expect(sent.wholes).toBe(wholes);
    expect(a.netmap.violations).toEqual([]);
    const node = await nodeOf(b);
    value(
      await rig.control.execute(
        { kind: 'node.rename', id: node.id, name: 'renamed', from: 'chosen' },
        operator,
      ),
    );
    await a.until((map) => map.peer('renamed') !== undefined);
    value(await rig.control.execute({ kind: 'node.delete', id: node.id }, operator));
    await a.until((map) => map.peer('renamed') === undefined);
    expect(sent.wholes).toBe(wholes);
  });

  test('follow the policy: what it no longer connects is gone, and back when it is', async () => {
    const a = await joined('policy-a');
    const b = await joined('policy-b');
    await a.until((map) => map.peer('policy-b') !== undefined);
    await rig.applyPolicy('{"grants": []}');
    await a.until((map) => map.peer('policy-b') === undefined);
    await b.until((map) => map.filters.get('base')?.length === 0);
    await rig.applyPolicy(allowAll);
    await a.until((map) => map.peer('policy-b') !== undefined);
  });

  test('leave out whoever is not approved or has expired', async () => {
    const a = await joined('watch');
    const b = await joined('mortal');
    await a.until((map) => map.peer('mortal') !== undefined);
    const { id } = await nodeOf(b);
    value(await rig.control.execute({ kind: 'node.expire', id, isLogout: false }, operator));
    await a.until((map) => map.peer('mortal') === undefined);
    await b.until((map) => Date.parse(map.self?.KeyExpiry ?? '') <= Date.now());
    expect(rig.plane.coordination.admits(b.nodeKey)).toBe(false);
  });
});

describe('what is not ours', () => {
  /** Everything that the server answers to some bytes, until it closes or is silent. */
  function answerTo(bytes: Uint8Array): Promise<string> {
    return new Promise((resolve) => {
      const { port } = new URL(rig.url);
      const socket = connect(Number(port), '127.0.0.1');
      let text = '';
      const timer = setTimeout(() => socket.destroy(), 5_000);
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve(text);
      });
      socket.write(bytes);
    });
  }

  const upgrade = (handshake: string, tail: Uint8Array = new Uint8Array(0)): Uint8Array =>
    Buffer.concat([
      Buffer.from(
        `POST /ts2021 HTTP/1.1\r\nHost: x\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\nX-Tailscale-Handshake: ${handshake}\r\n\r\n`,
      ),
      tail,
    ]);

  test('handshakes of random bytes are refused, two hundred of them', async () => {
    const tries = Array.from({ length: 200 }, (_, i) =>
      answerTo(upgrade(randomBytes(i % 2 === 0 ? 101 : i).toString('base64'))),
    );
    for (const answer of await Promise.all(tries)) expect(answer).toMatch(/^HTTP\/1\.1 400/);
  });

  test('bytes that are no record end the connection and nothing else', async () => {
    const one = await client('noise');
    one.session.close();
    const before = rig.plane.coordination.channels;
    await answerTo(upgrade('', randomBytes(5_000)));
    expect(rig.plane.coordination.channels).toBeLessThanOrEqual(before);
    expect((await fetch(`${rig.url}/health`)).status).toBe(200);
  });

  test('bodies that are no JSON, no object, or too large are refused on a proven channel', async () => {
    const one = await client('fuzz');
    const bodies: readonly unknown[] = [
      [],
      'text',
      { NodeKey: 5 },
      { NodeKey: 'nodekey:zz' },
      { NodeKey: `nodekey:${'0'.repeat(64)}` },
      { NodeKey: nodeKeyText(newMachine('y').node).toUpperCase() },
      { NodeKey: one.nodeKey, Hostinfo: 'x', Auth: [], Followup: 9, Expiry: {} },
    ];
    for (const body of bodies) {
      for (const path of ['/machine/register', '/machine/map']) {
        const { status } = await one.session.post(path, body);
        expect([200, 400, 404]).toContain(status);
      }
    }
    const large = { NodeKey: one.nodeKey, Pad: 'x'.repeat(1_200_000) };
    expect((await one.session.post('/machine/register', large)).status).toBe(400);
    expect((await one.session.post('/machine/tka/bootstrap', {})).status).toBe(501);
  });
});

test('the control key is for its owner alone, and a restart asks nobody to join again', async () => {
  const key = await stat(path.join(stateDir, 'coordination', 'control.key'));
  expect(key.mode & 0o777).toBe(0o600);
  const a = await joined('keeper');
  const publicKey = rig.plane.coordination.publicKey;
  const addresses = (await nodeOf(a)).addresses;
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  await rig.close();
  rig = await startRig({ stateDir });
  expect(rig.plane.coordination.publicKey).toBe(publicKey);
  const back = await client('keeper', a.machine);
  back.follow();
  await back.until((map) => map.self !== undefined);
  expect((await nodeOf(back)).addresses).toEqual(addresses);
  // What machines reported is there before they report again.
  const peers = rig.plane.coordination.facts((await nodeOf(back)).id);
  expect(peers?.report?.endpoints[0]).toMatch(/^192\.0\.2\.1:/);
});

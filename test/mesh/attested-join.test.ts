/** Keys of the network for evidence alone, and nodes that are bound to whoever showed it. */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { ok, type Result } from '@postern/core/base';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bindNode,
  joinByEvidence,
} from '../../packages/server/src/adapters/attested-join/index.ts';
import type { Simulator } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { createLazyEgress } from '../../packages/server/src/app/egress.ts';
import type { Egress } from '../../packages/server/src/http/index.ts';
import { startGateway, type TestGateway } from '../conformance/gateway.ts';
import { ControlClient, newMachine } from '../tailnet/driver/control-client.ts';
import { freePorts, type SimulatedMachine, simulatedMachine } from './process.ts';
import { callee, caller, machine } from './world.ts';

let place: SimulatedMachine;
let gateway: TestGateway;
let url = '';
const egress = createLazyEgress();
const clients: ControlClient[] = [];

beforeAll(async () => {
  place = await simulatedMachine(callee);
  const [port = 0] = await freePorts(1);
  url = `http://127.0.0.1:${port}`;
  gateway = await startGateway({
    stateDir: place.stateDir,
    env: { POSTERN_CONTROL_ADDR: '127.0.0.1:0' },
    policy: JSON.stringify({
      tagOwners: { 'tag:attested': [] },
      grants: [{ src: ['*'], dst: ['*'], ip: ['*'] }],
    }),
    config: {
      engine: {
        url,
        address: `127.0.0.1:${port}`,
        stunAddress: 'off',
        derpAddress: 'off',
        join: 'off',
      },
      mesh: {
        trust: place.mesh['trust'] ?? {},
        outbound: { enabled: false },
        attestedJoin: { apps: [callee.app.appId] },
      },
    },
  });
}, 120_000);

afterAll(async () => {
  for (const client of clients) client.close();
  await gateway?.stop();
  await egress.close();
  await place?.close();
});

function cli(args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  const main = path.join(import.meta.dirname, '../../packages/postern/src/main.ts');
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (cause, out) => {
      resolve({ code: cause === null ? 0 : Number(cause.code ?? 1), out });
    });
  });
}

type Prove = (reportData: Uint8Array) => Promise<Result<Uint8Array, string>>;

const proofBy =
  (simulator: Simulator): Prove =>
  async (reportData) =>
    ok(simulator.attestation(reportData));

function by(prove: Prove, way: Egress = (request) => egress.egress(request)) {
  const server = new URL(`http://${gateway.address('control')}`);
  return { server, prove, egress: way, signal: AbortSignal.timeout(20_000) };
}

async function post(path: string, body: object): Promise<{ status: number; text: string }> {
  const answer = await fetch(`http://${gateway.address('control')}${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  return { status: answer.status, text: await answer.text() };
}

async function node(name: string, authKey: string) {
  const client = await ControlClient.connect({ url, machine: newMachine(name) });
  clients.push(client);
  return { client, answer: await client.register({ authKey }) };
}

const said = (result: Result<unknown, string>): string => (result.ok ? 'joined' : result.error);

describe('a key of the network', () => {
  test('is given for evidence of a listed app, and its node is let in once it is bound', async () => {
    const invited = await joinByEvidence(by(proofBy(callee)), 'box');
    if (!invited.ok) throw new Error(invited.error);
    expect(invited.value).toMatchObject({ serverUrl: url, app: callee.app.appId });
    const { client, answer } = await node('box', invited.value.key.reveal());
    expect(answer).toMatchObject({ Error: '', MachineAuthorized: false });
    // The key joins one machine.
    expect((await node('second', invited.value.key.reveal())).answer.Error).not.toBe('');
    const bound = await bindNode(by(proofBy(callee)), client.nodeKey);
    expect(said(bound)).toBe('joined');
    const listed = await gateway.control('GET', '/api/v1/nodes');
    expect(listed.body['items']).toMatchObject([
      { approved: true, tags: ['tag:attested'], node_key: client.nodeKey },
    ]);
    // Again is no mistake.
    expect(said(await bindNode(by(proofBy(callee)), client.nodeKey))).toBe('joined');
  });

  test('is given to nobody else, and each refusal says why', async () => {
    const late = async (): Promise<string> => {
      const { text } = await post('/api/attest/challenge', {});
      return JSON.parse(text).nonce as string;
    };
    for (const [prove, code] of [
      [proofBy(machine('cc')), 'app_not_allowed'],
      [proofBy(caller), 'is not one that may join'],
      [async () => ok(callee.attestation(new Uint8Array(64))), 'report_data_unexpected'],
      [async () => ok(new Uint8Array([1, 2, 3])), 'unknown evidence'],
    ] as const) {
      expect(said(await joinByEvidence(by(prove), 'box'))).toContain(code);
    }
    const evidence = Buffer.from(callee.attestation(new Uint8Array(64))).toString('base64');
    const forged = Buffer.alloc(32).toString('base64');
    const nonce = await late();
    for (const [body, status] of [
      [{ nonce: forged, evidence, name: 'x' }, 401],
      [{ nonce: 'AAAA', evidence, name: 'x' }, 401],
      [{ evidence, name: 'x' }, 400],
      [{ nonce, evidence, name: '../x' }, 400],
    ] as const) {
      expect((await post('/api/attest/join', body)).status).toBe(status);
    }
    expect((await fetch(`http://${gateway.address('control')}/api/attest/join`)).status).toBe(405);
  });

  test('is given once for a challenge: evidence that somebody saw is of no use', async () => {
    let seen: string | undefined;
    const watching: Egress = (request) => {
      if (request.url.pathname === '/api/attest/join') seen = String(request.body);
      return egress.egress(request);
    };
    expect(said(await joinByEvidence(by(proofBy(callee), watching), 'box'))).toBe('joined');
    const again = await post('/api/attest/join', JSON.parse(seen ?? '{}') as object);
    expect([again.status, again.text]).toEqual([401, expect.stringContaining('answered before')]);
  });

  test('evidence for a key does not bind a node, and the other way around', async () => {
    const swapped: Egress = (request) => {
      const to = request.url.pathname === '/api/attest/join' ? '/api/attest/bind' : undefined;
      if (to === undefined) return egress.egress(request);
      const body = JSON.parse(String(request.body)) as object;
      const more = { ...body, node_key: `nodekey:${'ab'.repeat(32)}` };
      return egress.egress({
        ...request,
        url: new URL(to, request.url),
        body: JSON.stringify(more),
      });
    };
    const result = await joinByEvidence(by(proofBy(callee), swapped), 'box');
    expect(said(result)).toContain('report_data_unexpected');
  });
});

test('the commands do the same by the guest agent of the machine', async () => {
  const at = ['--server', `http://${gateway.address('control')}`];
  const agent = ['--agent', path.join(place.stateDir, 'dstack.sock')];
  const key = await cli(['attest', 'join', ...at, ...agent, '--name', 'cli']);
  expect(key).toMatchObject({ code: 0, out: expect.stringMatching(/^pstauth-/) });
  const { client } = await node('cli', key.out.trim());
  const bound = await cli(['attest', 'bind', ...at, ...agent, '--node-key', client.nodeKey]);
  expect(bound).toMatchObject({ code: 0, out: expect.stringContaining('is in the network') });
  expect((await cli(['attest', 'join', ...at, '--agent', '/nowhere.sock'])).code).toBe(1);
  expect((await cli(['attest', 'join'])).code).toBe(2);
}, 60_000);

describe('a node that joined by such a key', () => {
  test('stays outside where somebody else has the key: only the machine of the evidence binds', async () => {
    const invited = await joinByEvidence(by(proofBy(callee)), 'box');
    if (!invited.ok) throw new Error(invited.error);
    const thief = await node('thief', invited.value.key.reveal());
    expect(thief.answer).toMatchObject({ MachineAuthorized: false });
    // Another instance of the same app, evidence over another node key, and none at all.
    const other = await bindNode(by(proofBy(machine('bb', 'dd'))), thief.client.nodeKey);
    expect(said(other)).toContain('Another machine');
    const elsewhere = `nodekey:${'cd'.repeat(32)}`;
    const relayed: Egress = (request) => {
      if (request.url.pathname !== '/api/attest/bind') return egress.egress(request);
      const body = JSON.parse(String(request.body)) as object;
      return egress.egress({
        ...request,
        body: JSON.stringify({ ...body, node_key: thief.client.nodeKey }),
      });
    };
    expect(said(await bindNode(by(proofBy(callee), relayed), elsewhere))).toContain(
      'report_data_unexpected',
    );
    expect(said(await bindNode(by(proofBy(callee)), elsewhere))).toContain('No machine');
    const listed = await gateway.control('GET', '/api/v1/nodes');
    const items = listed.body['items'] as { node_key: string; approved: boolean }[];
    expect(items.find(({ node_key: key }) => key === thief.client.nodeKey)?.approved).toBe(false);
  });
});

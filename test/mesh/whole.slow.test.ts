/** Whole processes of Postern whose mesh has its identity from each source, as a configuration says it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import type { JsonValue } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { afterEach, describe, expect, test } from 'vitest';
import { startGateway, type TestGateway } from '../conformance/gateway.ts';
import { authority, leaf, testKey } from '../fakes/pki.ts';
import { startSpireAgent } from '../fakes/spire-agent.ts';
import { freePorts, simulatedMachine } from './process.ts';
import { callee, caller, startCanary } from './world.ts';

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

const grants = JSON.stringify({
  tagOwners: { 'tag:app': [] },
  grants: [
    {
      src: ['tag:app'],
      dst: ['*'],
      app: { 'postern.dev/cap/mesh': [{ apps: ['*'], ports: [443] }] },
    },
  ],
});
const identities = {
  map: [caller, callee].map(({ app }) => ({ app: app.appId, as: ['tag:app'] })),
};

type Mesh = Record<string, JsonValue>;

/** A server and a client as processes; the backend answers with who it was told is calling. */
async function pair(
  server: { readonly mesh: Mesh; readonly stateDir?: string },
  client: { readonly mesh: Mesh; readonly stateDir?: string },
): Promise<{ server: TestGateway; client: TestGateway; call: () => Promise<Answer> }> {
  const canary = await startCanary((message, response) => {
    message.resume();
    response.end(JSON.stringify(message.headers));
  });
  ends.push(() => canary.close());
  const [inbound = 0, first = 0, second = 0] = await freePorts(3);
  const start = async (
    { mesh, ...more }: { readonly mesh: Mesh; readonly stateDir?: string },
    doors: Mesh,
  ) => {
    const started = await startGateway({
      ...more,
      policy: grants,
      config: { identities, mesh: { ...mesh, ...doors } },
    });
    ends.push(() => started.stop());
    return started;
  };
  const serving = await start(server, {
    outbound: { address: `127.0.0.1:${first}` },
    inbound: [{ port: 443, address: `127.0.0.1:${inbound}`, backend: `127.0.0.1:${canary.port}` }],
  });
  const calling = await start(client, {
    outbound: {
      address: `127.0.0.1:${second}`,
      targets: { [`${callee.app.appId}:443`]: [`127.0.0.1:${inbound}`] },
    },
  });
  return { server: serving, client: calling, call: () => ask(second) };
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: Record<string, string>;
  readonly claims: Record<string, unknown>;
  readonly body: string;
}

async function ask(port: number): Promise<Answer> {
  const message = await new Promise<IncomingMessage>((resolve, reject) => {
    const headers = { 'x-dstack-target-app': callee.app.appId };
    request({ host: '127.0.0.1', port, headers, agent: false }, resolve).on('error', reject).end();
  });
  const body = await text(message);
  const headers = (message.statusCode === 200 ? JSON.parse(body) : {}) as Record<string, string>;
  const [, part = ''] = (headers['x-postern-identity'] ?? '').split('.');
  const claims = JSON.parse(Buffer.from(part, 'base64url').toString() || '{}') as Answer['claims'];
  return { status: message.statusCode, headers, claims, body };
}

async function folder(): Promise<string> {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-whole-'));
  ends.push(() => rm(dir, { recursive: true, force: true, maxRetries: 5 }));
  return dir;
}

describe('two whole processes', () => {
  test('call each other with certificates of a third that issues them', async () => {
    const dir = await folder();
    const issuer = await startGateway({
      env: { POSTERN_CONTROL_ADDR: '127.0.0.1:0' },
      config: {
        mesh: {
          outbound: { enabled: false },
          authority: {
            trustDomain: 'mesh.example',
            apps: [
              { app: callee.app.appId, join: 'server' },
              { app: caller.app.appId, join: 'client' },
            ],
          },
        },
      },
    });
    ends.push(() => issuer.stop());
    const url = `http://${issuer.address('control')}`;
    const enrolled = async (app: string, join: string) => {
      const file = path.join(dir, `${join}.token`);
      await writeFile(file, await issuer.key(join, { join: [join] }), { mode: 0o600 });
      return { mesh: { identity: { authority: { url, app, token: { file } } } } };
    };
    const { call, client } = await pair(
      await enrolled(callee.app.appId, 'server'),
      await enrolled(caller.app.appId, 'client'),
    );
    const answer = await call();
    expect([answer.status, answer.headers['x-dstack-app-id']]).toEqual([200, caller.app.appId]);
    expect(answer.claims).toMatchObject({ verified_by: 'svid', app_id: caller.app.appId });
    const status = await client.control('GET', '/api/v1/mesh');
    expect(status.body['identity']).toMatchObject({ source: `authority ${url}`, problem: null });
    const bundle = await fetch(`${url}/api/mesh/bundle`);
    expect(await bundle.json()).toMatchObject({ keys: [{ use: 'x509-svid' }] });
    const records = await issuer.control('GET', '/api/v1/audit/tail');
    expect(JSON.stringify(records.body)).toContain('mesh.certificate.join');
  }, 120_000);

  test('call each other with identities of a SPIFFE agent, also across federated domains', async () => {
    const dir = await folder();
    const now = Math.floor(Date.now() / 1_000) * 1_000;
    const validity = der.sequence(der.time(now - 60_000), der.time(now + 3_000_000));
    const domainOf = (name: string) => authority(name, { fields: { validity } });
    const roots = { one: domainOf('one'), two: domainOf('two') };
    const agents = await Promise.all(
      (['one', 'two'] as const).map(async (name) => {
        const agent = await startSpireAgent(path.join(dir, `${name}.sock`));
        ends.push(() => agent.close());
        const app = name === 'one' ? callee.app.appId : caller.app.appId;
        const other = name === 'one' ? 'two' : 'one';
        const push = (): void => {
          const uri = `spiffe://${name}.example/app/${app}`;
          const key = testKey();
          const made = leaf([`uri:${uri}`], { issuer: roots[name], key, fields: { validity } });
          agent.push({
            svids: [
              { spiffeId: uri, chain: [made.der], key: key.privateKey, bundle: [roots[name].der] },
            ],
            federated: { [`${other}.example`]: [roots[other].der] },
          });
        };
        push();
        return { agent, push };
      }),
    );
    const spiffe = (name: string) => ({
      mesh: { identity: { spiffe: { socket: path.join(dir, `${name}.sock`) } } },
    });
    const { call, client } = await pair(spiffe('one'), spiffe('two'));
    const answer = await call();
    expect([answer.status, answer.body]).toEqual([200, expect.any(String)]);
    expect(answer.claims).toMatchObject({
      verified_by: 'svid',
      spiffe_id: `spiffe://two.example/app/${caller.app.appId}`,
    });
    // A message is in use at once; nobody asks for it.
    const renewals = async () => {
      const { body } = await client.control('GET', '/api/v1/mesh');
      return (body['identity'] as { renewals: number }).renewals;
    };
    const before = await renewals();
    agents[1]?.push();
    await expect.poll(renewals).toBeGreaterThan(before);
    expect((await call()).status).toBe(200);
  }, 120_000);

  test('prove each session to each other where it is required', async () => {
    const machines = await Promise.all([simulatedMachine(callee), simulatedMachine(caller)]);
    for (const machine of machines) ends.push(() => machine.close());
    const [server, client] = machines.map(({ mesh, stateDir }) => ({
      stateDir,
      mesh: { ...mesh, sessionProof: 'required' as const },
    }));
    if (server === undefined || client === undefined) throw new Error('two machines');
    const { call } = await pair(server, client);
    const answer = await call();
    expect([answer.status, answer.claims]).toEqual([
      200,
      expect.objectContaining({ verified_by: 'ra-tls', session_bound: true }),
    ]);
  }, 120_000);

  test('do not start where there is no such identity, and say why', async () => {
    const dir = await folder();
    for (const [identity, why] of [
      [{ spiffe: { socket: path.join(dir, 'none.sock') } }, 'none.sock'],
      [{ spiffe: { socket: 'tcp://127.0.0.1:1' } }, 'neither a path nor unix'],
      [{ spiffe: {} }, 'SPIFFE_ENDPOINT_SOCKET'],
      [
        { authority: { url: 'http://127.0.0.1:1', app: callee.app.appId } },
        'there is no join token',
      ],
    ] as const) {
      await expect(
        startGateway({ config: { mesh: { identity } }, policy: grants }),
      ).rejects.toThrow(why);
    }
    await expect(
      startGateway({
        config: {
          mesh: {
            sessionProof: 'required',
            identity: { certificateFile: path.join(dir, 'x'), keyFile: path.join(dir, 'y') },
          },
        },
        policy: grants,
      }),
    ).rejects.toThrow('needs a guest agent');
  }, 60_000);
});

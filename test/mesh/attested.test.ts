/** Attested models: the gateway, a provider that must prove what it runs, and the receipt of a request. */
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { JsonValue } from '@postern/core/base';
import { checkpointOfProof, readNoteKey, verifyReceipt } from '@postern/core/state/audit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Simulator } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import {
  nodeEd25519Verify,
  nodeSha256,
  proveRecord,
  readLogKey,
} from '../../packages/server/src/adapters/segment-file/index.ts';
import { keysAsTags, startGateway, type TestGateway } from '../conformance/gateway.ts';
import { freePorts, type SimulatedMachine, simulatedMachine } from './process.ts';
import { callee, caller, type MeshNode, startCanary, startNode } from './world.ts';

/** A model server in a simulated machine, which counts what reaches it. */
interface ModelServer {
  readonly port: number;
  readonly requests: () => number;
  close(): Promise<void>;
}

const answerText = JSON.stringify({
  id: 'c',
  object: 'chat.completion',
  created: 1,
  model: 'm',
  choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
});
const streamText = [
  '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}]}',
  '{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
  '[DONE]',
]
  .map((event) => `data: ${event}\n\n`)
  .join('');

function answer(asked: string): { readonly type: string; readonly body: string } {
  if (asked === '')
    return { type: 'application/json', body: '{"object":"list","data":[{"id":"m"}]}' };
  return asked.includes('"stream":true')
    ? { type: 'text/event-stream', body: streamText }
    : { type: 'application/json', body: answerText };
}

async function modelServer(
  simulator: Simulator,
  shown: Partial<Parameters<Simulator['tlsKey']>[0]> = {},
): Promise<ModelServer> {
  const { keyPem, chain } = simulator.tlsKey({
    subject: 'model',
    altNames: [],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: false,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 3_000_000,
    ...shown,
  });
  let requests = 0;
  const server: Server = createServer(
    { key: keyPem, cert: chain.join('') },
    (request, response) => {
      requests += 1;
      let text = '';
      request.on('data', (piece: Buffer) => (text += piece.toString()));
      request.on('end', () => {
        const { type, body } = answer(text);
        response.writeHead(200, { 'content-type': type });
        response.end(body);
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  // A TCP server has an address of this form.
  const { port } = server.address() as AddressInfo;
  return {
    port,
    requests: () => requests,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function cli(args: readonly string[]): Promise<{ readonly code: number; readonly out: string }> {
  const main = path.join(import.meta.dirname, '../../packages/postern/src/main.ts');
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (cause, out) => {
      resolve({ code: cause === null ? 0 : Number(cause.code ?? 1), out });
    });
  });
}

const grants = {
  tagOwners: { 'tag:key': [], 'tag:alice': [], 'tag:root': [] },
  grants: [
    {
      src: ['tag:key', 'tag:alice', 'tag:root'],
      dst: ['*'],
      app: { 'postern.dev/cap/ai': [{ models: ['**'], requireAttested: true }] },
    },
    {
      src: ['tag:root'],
      dst: ['*'],
      app: { 'postern.dev/cap/admin': [{ tools: ['attestation.show'] }] },
    },
  ],
};

let machine: SimulatedMachine;
let good: ModelServer;
let stranger: ModelServer;
let expired: ModelServer;
let unproven: ModelServer;
let meshModel: MeshNode;
let meshCanary: Awaited<ReturnType<typeof startCanary>>;
let gateway: TestGateway;
let options: Parameters<typeof startGateway>[0];
const secrets: Record<string, string> = {};

beforeAll(async () => {
  machine = await simulatedMachine(callee);
  [good, stranger, expired, unproven] = await Promise.all([
    modelServer(callee),
    modelServer(caller),
    modelServer(callee, {
      notBeforeMs: Date.now() - 3_600_000 * 3,
      notAfterMs: Date.now() - 3_600_000 * 2.5,
    }),
    modelServer(callee, { usageRaTls: false }),
  ]);
  meshCanary = await startCanary((request, response) => {
    let text = '';
    request.on('data', (piece: Buffer) => (text += piece.toString()));
    request.on('end', () => {
      const { type, body } = answer(text);
      response.writeHead(200, { 'content-type': type }).end(body);
    });
  });
  meshModel = await startNode({
    simulator: callee,
    services: [
      {
        port: 443,
        protocol: 'http',
        backend: { kind: 'tcp', host: '127.0.0.1', port: meshCanary.port },
      },
    ],
  });
  const [outbound = 0] = await freePorts(1);
  const attested = { app: callee.app.appId };
  const provider = (port: number, more: object = {}) => ({
    kind: 'openai',
    baseUrl: `https://127.0.0.1:${port}/v1`,
    models: ['m'],
    attested: { ...attested, ...more },
    retry: { times: 0 },
  });
  options = {
    stateDir: machine.stateDir,
    policy: JSON.stringify(grants),
    config: {
      identities: keysAsTags('alice', 'root'),
      mesh: {
        ...machine.mesh,
        outbound: {
          address: `127.0.0.1:${outbound}`,
          targets: {
            [`${callee.app.appId}:443`]: [`127.0.0.1:${meshModel.portOf('mesh-inbound')}`],
          },
        },
      },
      providers: {
        good: provider(good.port),
        stranger: provider(stranger.port),
        expired: provider(expired.port),
        unproven: provider(unproven.port),
        wrong: provider(good.port, { instance: 'dd'.repeat(20) }),
        mesh: { ...provider(443, { via: 'mesh' }), baseUrl: 'http://model.mesh:443/v1' },
        plain: { kind: 'openai', baseUrl: `http://127.0.0.1:${meshCanary.port}/v1`, models: ['m'] },
      },
    },
  };
  gateway = await startGateway(options);
  for (const name of ['alice', 'bob', 'root']) {
    secrets[name] = await gateway.key(name, name === 'root' ? { admin: true } : {});
  }
}, 60_000);

afterAll(async () => {
  await gateway?.stop();
  await meshModel?.plane.close(0);
  for (const each of [good, stranger, expired, unproven, meshCanary, machine]) await each?.close();
});

async function chat(provider: string, who = 'alice', stream = false): Promise<Response> {
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secrets[who]}` },
    body: JSON.stringify({
      model: `${provider}/m`,
      messages: [{ role: 'user', content: 'secret words' }],
      ...(stream ? { stream: true } : {}),
    }),
  });
}

async function receipt(id: string, who: string): Promise<Response> {
  return fetch(`${gateway.url}/v1/attestation/${id}`, {
    headers: { authorization: `Bearer ${secrets[who]}` },
  });
}

function idOf(response: Response): string {
  const told = response.headers.get('x-postern-attestation') ?? '';
  return /receipt="\/v1\/attestation\/([0-9a-z]+)"/.exec(told)?.[1] ?? '';
}

describe('an attested model', () => {
  for (const [provider, stream] of [
    ['good', false],
    ['good', true],
    ['mesh', false],
    ['mesh', true],
  ] as const) {
    test(`answers, and the answer says who served it: ${provider}${stream ? ', streamed' : ''}`, async () => {
      const response = await chat(provider, 'alice', stream);
      expect([response.status, await response.text()]).toEqual([
        200,
        expect.stringContaining('hi'),
      ]);
      const told = response.headers.get('x-postern-attestation') ?? '';
      expect(told).toContain(`verified; by=ra-tls; app=${callee.app.appId}`);
      expect(told).toContain(`instance=${callee.app.instanceId}`);
    });
  }

  for (const [provider, server, code] of [
    ['stranger', () => stranger, 'target_app_mismatch'],
    ['expired', () => expired, 'certificate_expired'],
    ['unproven', () => unproven, 'trust_not_configured'],
    ['wrong', () => good, 'target_instance_mismatch'],
  ] as const) {
    test(`gets no byte of a request where it is not what it must be: ${provider}`, async () => {
      const before = server().requests();
      const response = await chat(provider);
      const said = await response.text();
      expect(response.status).toBe(502);
      expect(said).toContain(code);
      expect(said).toContain('Nothing was sent');
      expect(response.headers.get('x-postern-attestation')).toBeNull();
      expect(server().requests()).toBe(before);
    });
  }

  test('is what requireAttested asks for; a plain provider does not meet it', async () => {
    const response = await chat('plain');
    expect(response.status).toBe(403);
    expect(await response.text()).toContain('requireAttested');
  });
});

describe('the receipt of a request', () => {
  test('is signed, in the audit tree, and verified without the gateway', async () => {
    const response = await chat('good');
    await response.text();
    const got = await receipt(idOf(response), 'alice');
    expect(got.status).toBe(200);
    const document = (await got.json()) as Record<string, unknown>;
    expect(document['attestation']).toMatchObject({
      app_id: callee.app.appId,
      instance_id: callee.app.instanceId,
      compose_hash: callee.app.composeHash,
      device_id: callee.deviceId,
      platform: 'tdx',
      tcb_status: 'UpToDate',
      verdict: 'accepted',
      verified_by: 'ra-tls',
      bound_to: 'certificate',
      target: 'good/m',
      outcome: 'complete',
    });
    expect(JSON.stringify(document)).not.toContain('secret words');
    const dir = path.join(machine.stateDir, 'audit');
    const key = readNoteKey((await readFile(path.join(dir, 'key.pub'), 'utf8')).trim(), nodeSha256);
    if (key === undefined) throw new Error('a key');
    const crypto = { sha256: nodeSha256, verify: nodeEd25519Verify };
    const note = String(document['note']);
    const verified = verifyReceipt(note, key, crypto);
    expect(verified).toMatchObject({ index: document['index'], body: document['body'] });
    // A changed statement, another log's key and a checkpoint are no receipts.
    expect(verifyReceipt(note.replace('accepted', 'rejected'), key, crypto)).toBeUndefined();
    const other = { ...key, publicKey: new Uint8Array(32).fill(1) };
    expect(verifyReceipt(note, other, crypto)).toBeUndefined();
    await gateway.control('POST', '/api/v1/audit/checkpoint');
    const checkpoint = await readFile(path.join(dir, 'checkpoint'), 'utf8');
    expect(verifyReceipt(checkpoint, key, crypto)).toBeUndefined();
    // Inclusion, as `postern audit prove INDEX` gives it.
    const folderKey = await readLogKey(dir);
    if (folderKey === undefined) throw new Error('a key');
    const proof = await proveRecord(dir, folderKey, Number(document['index']));
    if (!proof.ok || verified === undefined) throw new Error('a proof');
    expect(proof.value).toMatchObject({ kind: 'inclusion', body: document['body'] });
    const whole = JSON.parse(JSON.stringify(proof.value)) as Record<string, JsonValue>;
    const by = { key, crypto };
    expect(checkpointOfProof(verified, whole, by)?.size).toBeGreaterThan(0);
    for (const changed of [
      { before: 'ff'.repeat(32) },
      { body: String(document['body']).replace('accepted', 'rejected') },
      { index: Number(document['index']) + 1 },
      { checkpoint: checkpoint.replace('at ', 'at 1') },
      { proof: [] },
    ]) {
      expect(checkpointOfProof(verified, { ...whole, ...changed }, by)).toBeUndefined();
    }
    // The command needs the two files and the key, and no gateway.
    const files = path.join(machine.stateDir, 'offline');
    await mkdir(files);
    await writeFile(path.join(files, 'receipt.json'), JSON.stringify(document));
    await writeFile(path.join(files, 'proof.json'), JSON.stringify(whole));
    const keyText = (await readFile(path.join(dir, 'key.pub'), 'utf8')).trim();
    const args = ['receipt.json', 'proof.json'].map((name) => path.join(files, name));
    const ran = await cli([
      'attest',
      'receipt',
      args[0] ?? '',
      '--key',
      keyText,
      '--proof',
      args[1] ?? '',
    ]);
    expect([ran.code, ran.out]).toEqual([
      0,
      expect.stringContaining('included  in the checkpoint'),
    ]);
    await writeFile(
      args[0] ?? '',
      JSON.stringify({ note: note.replace('"m"', '"n"').replace('good', 'evil') }),
    );
    expect((await cli(['attest', 'receipt', args[0] ?? '', '--key', keyText])).code).toBe(1);
  });

  test('is for its caller and for administrators, and for nobody else', async () => {
    const response = await chat('good');
    await response.text();
    const id = idOf(response);
    expect((await receipt(id, 'alice')).status).toBe(200);
    expect((await receipt(id, 'root')).status).toBe(200);
    const [others, none] = [await receipt(id, 'bob'), await receipt('0'.repeat(26), 'bob')];
    expect([others.status, none.status]).toEqual([404, 404]);
    const nobody = await fetch(`${gateway.url}/v1/attestation/${id}`);
    expect(nobody.status).toBe(401);
    const posted = await fetch(`${gateway.url}/v1/attestation/${id}`, { method: 'POST' });
    expect(posted.status).toBe(405);
    expect((await receipt('..%2fx', 'alice')).status).toBe(400);
  });

  test('does not exist for a request that no attested upstream answered', async () => {
    const response = await chat('stranger');
    await response.text();
    const id = response.headers.get('x-request-id') ?? '';
    expect((await receipt(id === '' ? 'none' : id, 'alice')).status).toBe(404);
  });

  test('is found after a restart, too', async () => {
    const response = await chat('good');
    await response.text();
    const id = idOf(response);
    expect((await receipt(id, 'alice')).status).toBe(200);
    await gateway.stop();
    gateway = await startGateway(options);
    expect((await receipt(id, 'alice')).status).toBe(200);
    expect((await receipt(id, 'bob')).status).toBe(404);
  });
});

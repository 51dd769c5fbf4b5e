/** Steps of an incident on running gateways, each by the three ways in which a model server is operated. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonObject, JsonValue } from '@postern/core/base';
import { isPortOpen } from '@postern/server/http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FakeManager, startFakeManager } from '../fakes/systemd-manager.ts';
import { type FakeTailscaled, startFakeTailscaled } from '../fakes/tailscaled.ts';
import { everyKey, keysAsTags, startGateway, type TestGateway } from './gateway.ts';

/** A model server that asks for a key, and whatever starts it anew or gives it another one. */
interface ModelServer {
  readonly url: string;
  key: string;
  starts: number;
  /** Paths of calls to its hooks. */
  readonly calls: string[];
  /** Its hooks answer, and do nothing. */
  isIdle: boolean;
  close(): Promise<void>;
}

async function startModel(): Promise<ModelServer> {
  const server = http.createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const send = (status: number, value: object): void => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(value));
      };
      if (request.url === '/status') return send(200, { started_at: model.starts });
      if (request.method === 'POST') {
        model.calls.push(request.url ?? '');
        if (!model.isIdle && request.url === '/restart') model.starts += 1;
        // The hook gets what the gateway sends.
        const sent = body === '' ? {} : (JSON.parse(body) as { key?: string });
        if (!model.isIdle && sent.key !== undefined) model.key = sent.key;
        return send(200, {});
      }
      const isKnown = request.headers.authorization === `Bearer ${model.key}`;
      send(isKnown ? 200 : 401, isKnown ? { object: 'list', data: [] } : {});
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // It listens on TCP.
  const model: ModelServer = {
    url: `http://127.0.0.1:${port}`,
    key: 'first-key',
    starts: 1,
    calls: [],
    isIdle: false,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return model;
}

let folder: string;
let model: ModelServer;
let manager: FakeManager;
let daemon: FakeTailscaled;
let gateway: TestGateway | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'postern-inc-'));
  [model, manager, daemon] = await Promise.all([
    startModel(),
    startFakeManager(),
    startFakeTailscaled(),
  ]);
  await writeFile(path.join(folder, 'key'), 'first-key\n', { mode: 0o600 });
});
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  await Promise.all([model.close(), manager.close(), daemon.close()]);
  await rm(folder, { recursive: true, force: true });
});

const node = (script: string, ...args: readonly string[]): string[] => [
  process.execPath,
  '-e',
  script,
  ...args,
];
const post = `const [url, body] = process.argv.slice(1); fetch(url, { method: 'POST', body: body ?? require('node:fs').readFileSync(0, 'utf8') }).then(r => process.exit(r.ok ? 0 : 1));`;

function operated(by: 'systemd' | 'http' | 'command'): JsonObject {
  const file = path.join(folder, 'server-key');
  if (by === 'systemd')
    return {
      restart: { systemd: 'vllm.service' },
      rotate: { systemd: 'vllm.service', credentialFile: file },
    };
  if (by === 'http')
    return {
      restart: { http: { url: `${model.url}/restart`, statusUrl: `${model.url}/status` } },
      rotate: { http: { url: `${model.url}/rotate`, bearer: { env: 'HOOK_TOKEN' } } },
    };
  const wrap = `const key = require('node:fs').readFileSync(0, 'utf8').trim(); fetch(process.argv[1], { method: 'POST', body: JSON.stringify({ key }) }).then(r => process.exit(r.ok ? 0 : 1));`;
  return {
    restart: {
      command: node(post, `${model.url}/restart`, '{}'),
      status: node(
        `fetch(process.argv[1]).then(r => r.text()).then(t => console.log(t))`,
        `${model.url}/status`,
      ),
    },
    rotate: { command: node(wrap, `${model.url}/rotate`) },
  };
}

async function begin(
  config: JsonObject = {},
  env: Record<string, string> = {},
): Promise<TestGateway> {
  gateway = await startGateway({
    config: {
      providers: {
        vllm: {
          kind: 'openai',
          baseUrl: `${model.url}/v1`,
          models: ['m'],
          key: { file: path.join(folder, 'key') },
          operate: operated('http'),
        },
      },
      identities: keysAsTags(),
      ...config,
    },
    policy: everyKey,
    env: {
      TS_SOCKET: daemon.socket,
      DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${manager.socket}`,
      HOOK_TOKEN: 'hook',
      ...env,
    },
  });
  return gateway;
}

interface Concluded {
  readonly evidence: {
    readonly id: string;
    readonly verdict: string;
    readonly proofs: readonly { what: string; before: string; after: string; holds: boolean }[];
    readonly acts: readonly { what: string; outcome: string }[];
  };
  readonly file: string | null;
}

async function step(body: Record<string, JsonValue>): Promise<Concluded> {
  const answer = await gateway?.control('POST', '/api/v1/incidents', { reason: 'test', ...body });
  expect(answer?.status, JSON.stringify(answer?.body)).toBe(201);
  // The schema of the operation says so.
  return answer?.body as unknown as Concluded;
}

const ways = ['systemd', 'http', 'command'] as const;

describe.each(ways)(
  'a model server operated by %s (systemd: simulated, its manager is a fake behind the bus)',
  (by) => {
    const config = (): JsonObject => ({
      providers: {
        vllm: {
          kind: 'openai',
          baseUrl: `${model.url}/v1`,
          models: ['m'],
          key: { file: path.join(folder, 'key') },
          operate: operated(by),
        },
      },
    });
    beforeEach(() => {
      manager.onRestart = async () => {
        model.starts += 1;
        model.key = (
          await readFile(path.join(folder, 'server-key'), 'utf8').catch(() => model.key)
        ).trim();
      };
    });

    test('is started anew, which shows by its process', async () => {
      await begin(config());
      const { evidence } = await step({ step: 'reset-model', target: 'vllm' });
      expect(evidence.proofs.filter(({ holds }) => !holds)).toEqual([]);
      expect(evidence.verdict).toBe('proven');
      expect(model.starts).toBe(2);
    });

    test('that was not started anew is not said to be', async () => {
      await begin(config());
      manager.isIdle = true;
      model.isIdle = true;
      const { evidence } = await step({ step: 'reset-model', target: 'vllm' });
      expect(evidence.verdict).toBe('unproven');
      expect(evidence.proofs.find(({ what }) => what === 'the process')?.holds).toBe(false);
    });

    test('gets a new key: the old one is refused there, the gateway sends the new one', async () => {
      await begin(config());
      const { evidence } = await step({ step: 'rotate', classes: ['provider'], target: 'vllm' });
      expect(evidence.proofs.filter(({ holds }) => !holds)).toEqual([]);
      expect(evidence.verdict).toBe('proven');
      expect(model.key).not.toBe('first-key');
      expect((await readFile(path.join(folder, 'key'), 'utf8')).trim()).toBe(model.key);
      expect(JSON.stringify(evidence)).not.toContain(model.key);
    });
  },
);

describe('isolation', () => {
  const addresses = { POSTERN_GATEWAY_ADDR: '0.0.0.0:0' };
  const portOf = (text: string | undefined): number => Number(/:(\d+)$/.exec(text ?? '')?.[1]);

  test('shuts what is exposed, keeps a door on loopback, turns Funnel off, and ends when it is lifted', async () => {
    daemon.serve = { AllowFunnel: { 'ai.ts.net:443': true } };
    const running = await begin({}, addresses);
    const port = portOf(running.address('gateway'));
    const { evidence } = await step({ step: 'isolate', target: 'all' });
    expect(evidence.verdict).toBe('proven');
    expect(evidence.proofs.map(({ what, holds }) => [what, holds])).toEqual([
      ['sockets that are reached from outside', true],
      ['connections to outside addresses of this machine', true],
      ['Funnel', true],
    ]);
    expect(evidence.proofs[0]?.before).toBe(`0.0.0.0:${port}`);
    expect(daemon.serve).toEqual({});
    expect(await isPortOpen('127.0.0.1', port)).toBe(true);
    const again = await step({ step: 'isolate', target: 'all' });
    expect(again.evidence.verdict).toBe('proven');
    await running.control('DELETE', '/api/v1/isolation');
    const shown = async (): Promise<readonly string[]> => {
      const { body } = await running.control('GET', '/api/v1/runtime');
      // The schema of the operation says so.
      return (body['listeners'] as { kind: string; address: string }[])
        .filter(({ kind }) => kind === 'gateway')
        .map(({ address }) => address.replace(/:\d+$/, ''));
    };
    for (let tries = 0; tries < 100 && !(await shown()).includes('0.0.0.0'); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await shown()).toEqual(['0.0.0.0']);
  });

  test('outlives a restart: what was shut does not open', async () => {
    const stateDir = await mkdtemp(path.join(tmpdir(), 'postern-inc-state-'));
    const start = () => startGateway({ config: {}, policy: everyKey, env: addresses, stateDir });
    gateway = await start();
    await step({ step: 'isolate', target: 'all' });
    await gateway.stop();
    const again = await start();
    gateway = again;
    const shown = async (): Promise<readonly { kind: string; address: string }[]> => {
      const { body } = await again.control('GET', '/api/v1/runtime');
      // As above.
      return body['listeners'] as { kind: string; address: string }[];
    };
    // Its door on loopback opens in the background of the start.
    await expect
      .poll(async () => (await shown()).some(({ kind }) => kind === 'gateway'))
      .toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const listeners = await shown();
    expect(listeners.filter(({ address }) => address.startsWith('0.0.0.0'))).toEqual([]);
    // It was never open, and callers on this machine have their door.
    expect(gateway.log.filter(({ msg }) => msg === 'isolated: the listener is shut')).toEqual([]);
    expect(listeners.filter(({ kind }) => kind === 'gateway')).toMatchObject([
      { address: expect.stringMatching(/^127\.0\.0\.1:/) },
    ]);
    await rm(stateDir, { recursive: true, force: true, maxRetries: 5 });
  });
});

describe('evidence', () => {
  test('is kept, is listed, is on the record, and a drill that nobody proved is none', async () => {
    const running = await begin();
    const { evidence, file } = await step({ step: 'verify-records' });
    expect((await readFile(file ?? '', 'utf8')).split('\n')[0]).toContain(`"id":"${evidence.id}"`);
    const listed = await running.control('GET', '/api/v1/incidents');
    expect(listed.body).toEqual({ items: [evidence.id] });
    const shown = await running.control('GET', `/api/v1/incidents/${evidence.id}`);
    expect(String(shown.body['note'])).toContain(`— postern`);
    const strange = await running.control('GET', '/api/v1/incidents/..%2Fx');
    expect(strange.status).toBeGreaterThanOrEqual(400);
    const forged = { ...evidence, verdict: 'proven', proofs: [], step: 'drill', is_drill: true };
    const kept = await running.control('POST', '/api/v1/incidents/records', forged);
    expect(kept.body['evidence']).toMatchObject({ verdict: 'unproven' });
  });

  test('of a dry run is not', async () => {
    const running = await begin();
    const { evidence, file } = await step({ step: 'rotate', dry_run: true });
    expect(evidence.verdict).toBe('planned');
    expect(file).toBeNull();
    expect((await running.control('GET', '/api/v1/incidents')).body).toEqual({ items: [] });
  });

  test('a run that was broken off goes on where it was; a stranger does not', async () => {
    const running = await begin();
    await running.key('one');
    model.isIdle = true;
    const lost = await running.control('POST', '/api/v1/incidents', {
      step: 'rotate',
      reason: 'x',
      resume: 'inc_none',
    });
    expect(lost.status).toBe(404);
  });
});

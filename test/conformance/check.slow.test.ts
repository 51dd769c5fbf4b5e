/** The checklist on running gateways: each is broken in one way, and exactly the line that is about it turns red. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { JsonObject } from '@postern/core/base';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeTailscaled, runningStatus, startFakeTailscaled } from '../fakes/tailscaled.ts';
import { keysAsTags, startGateway, type TestGateway, type TestGatewayOptions } from './gateway.ts';

const dropping = JSON.stringify({
  nftables: [{ chain: { family: 'inet', name: 'input', hook: 'input', policy: 'drop' } }],
});
const accepting = dropping.replace('drop', 'accept');
const dayMs = 86_400_000;

let folder: string;
let daemon: FakeTailscaled;
const gateways: TestGateway[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'postern-check-'));
  for (const [name, days] of [
    ['good', '90'],
    ['ending', '5'],
  ]) {
    const files = ['-keyout', `${folder}/${name}.key`, '-out', `${folder}/${name}.pem`];
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        ...files,
        '-days',
        days ?? '',
        '-subj',
        '/CN=ai.example.com',
      ],
      { stdio: 'ignore' },
    );
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  daemon = await startFakeTailscaled();
});
afterEach(async () => {
  await Promise.all(gateways.splice(0).map((gateway) => gateway.stop()));
  await daemon.close();
});

const edge = (name: string): JsonObject => ({
  address: '0.0.0.0:0',
  hosts: ['ai.example.com'],
  tls: { certificateFile: `${folder}/${name}.pem`, keyFile: `${folder}/${name}.key` },
});

function configOf(change: JsonObject = {}): JsonObject {
  return {
    providers: { gpu: { kind: 'openai', baseUrl: 'http://localhost:9/v1', models: ['m'] } },
    identities: keysAsTags(),
    publicEdge: edge('good'),
    budgets: { team: { usd: '10.00', every: 'day', match: ['*'] } },
    audit: { witness: [`${folder}/witness`] },
    alerts: { webhooks: [{ url: 'https://hooks.example.com/x', secret: { env: 'HOOK_SECRET' } }] },
    ...change,
  };
}

const policyOf = (grant: JsonObject, more: JsonObject = {}): string =>
  JSON.stringify({
    tagOwners: { 'tag:key': [], 'tag:gateway': [] },
    postures: { 'posture:safe': ["node:os == 'linux'"] },
    grants: [
      {
        src: ['tag:key'],
        dst: ['tag:gateway'],
        srcPosture: ['posture:safe'],
        app: { 'postern.dev/cap/ai': [{ models: ['**'] }] },
      },
      ...(Object.keys(grant).length === 0 ? [] : [grant]),
    ],
    ...more,
  });

interface Fault extends Pick<TestGatewayOptions, 'env'> {
  readonly config?: JsonObject;
  readonly policy?: string | null;
  readonly firewall?: string;
  /** Ways in that a machine operated by SSH offers. */
  readonly offers?: readonly string[];
  /** What is done to it while it runs. */
  readonly whileUp?: (gateway: TestGateway) => Promise<void>;
}

async function verdictsOf(fault: Fault): Promise<Record<string, string>> {
  const gateway = await startGateway({
    config: configOf(fault.config),
    ...(fault.policy === null ? {} : { policy: fault.policy ?? policyOf({}) }),
    env: { TS_SOCKET: daemon.socket, HOOK_SECRET: 'x'.repeat(32), ...fault.env },
  });
  gateways.push(gateway);
  await fault.whileUp?.(gateway);
  const ssh = { host: 'frank', pinned: true, logs_in: true, offers: fault.offers ?? ['publickey'] };
  const body = { firewall: fault.firewall ?? dropping, ssh: [ssh] };
  const answer = await gateway.control('POST', '/api/v1/check', body);
  expect(answer.status).toBe(200);
  // The schema of the operation says so.
  const findings = answer.body['findings'] as { id: string; verdict: string }[];
  return Object.fromEntries(findings.map(({ id, verdict }) => [id, verdict]));
}

/** Lines that differ from those of a gateway without a fault. */
async function changedBy(fault: Fault): Promise<readonly string[]> {
  healthy ??= await verdictsOf({});
  const broken = await verdictsOf(fault);
  return Object.entries(broken).flatMap(([id, verdict]) =>
    verdict === healthy?.[id] ? [] : [`${id}: ${verdict}`],
  );
}
let healthy: Record<string, string> | undefined;

const inState = (...parts: readonly string[]) =>
  async function write(gateway: TestGateway): Promise<void> {
    const file = path.join(gateway.stateDir, ...parts);
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, '', { mode: 0o600 });
    const then = (Date.now() - 100 * dayMs) / 1_000;
    await utimes(file, then, then);
  };

/** Turns over one bit in the middle of the log, as somebody with the disk would. */
async function tamper({ stateDir, control }: TestGateway): Promise<void> {
  await control('GET', '/api/v1/keys');
  await control('POST', '/api/v1/audit/checkpoint');
  const dir = path.join(stateDir, 'audit');
  const names = (await readdir(dir, { recursive: true })).filter((name) =>
    /segment|\.log$|\.seg/.test(name),
  );
  const file = path.join(dir, names.toSorted()[0] ?? '');
  const bytes = await readFile(file);
  const at = bytes.indexOf('key.list');
  bytes[at] = 0x4b;
  await writeFile(file, bytes);
}

const faults: Readonly<Record<string, Fault>> = {
  'listeners-private': { env: { POSTERN_GATEWAY_ADDR: '0.0.0.0:0' } },
  'admin-private': { env: { POSTERN_ADMIN_ADDR: '0.0.0.0:0' } },
  'host-firewall': { firewall: accepting },
  'ssh-by-key': { offers: ['publickey', 'password'] },
  'certificates-current': { config: { publicEdge: {} } },
  'names-not-addresses': {
    config: {
      providers: { gpu: { kind: 'openai', baseUrl: 'http://100.64.0.9:8000/v1', models: ['m'] } },
    },
  },
  'policy-width': { policy: policyOf({ src: ['*'], dst: ['*'], ip: ['*'] }) },
  'device-posture': { policy: policyOf({}).replace('"srcPosture":["posture:safe"],', '') },
  'policy-applied': {
    whileUp: ({ stateDir }) =>
      writeFile(path.join(stateDir, 'policy.hujson'), policyOf({}, { groups: { 'group:x': [] } })),
  },
  'policy-in-force': { policy: null },
  'secrets-elsewhere': {
    config: {
      providers: {
        gpu: {
          kind: 'openai',
          baseUrl: 'http://localhost:9/v1',
          models: ['m'],
          headers: { 'x-key': `sk-${'a'.repeat(40)}` },
        },
      },
    },
  },
  'file-modes': { whileUp: ({ stateDir }) => chmod(path.join(stateDir, 'postern.hujson'), 0o644) },
  'caller-limits': { config: { budgets: {} } },
  'audit-witness': { config: { audit: {} } },
  'alerts-sent': { config: { alerts: {} } },
  'collateral-current': { whileUp: inState('collateral', 'intel', 'old.json') },
  'backup-age': { whileUp: inState('backups', '.last') },
  'records-whole': { whileUp: tamper },
};

describe('a running gateway', () => {
  test('passes what a healthy machine and configuration pass', async () => {
    healthy ??= await verdictsOf({});
    const {
      'incident-drilled': drilled,
      'not-root': _root,
      'clock-set': _clock,
      ...rest
    } = healthy;
    expect(drilled).toBe('fail');
    expect(Object.entries(rest).filter(([, verdict]) => verdict !== 'pass')).toEqual([]);
  });

  test.each(Object.keys(faults))('that is broken turns red on %s', async (id) => {
    const fault = faults[id] ?? {};
    const change = id === 'certificates-current' ? { config: { publicEdge: edge('ending') } } : {};
    expect(await changedBy({ ...fault, ...change })).toEqual([`${id}: fail`]);
  });

  test('says what fails open, without mixing it with anything else', async () => {
    const config = { audit: { witness: [`${folder}/witness`], whenUnavailable: 'serve' } };
    expect(await changedBy({ config })).toEqual(['fails-closed: fail']);
  });
});

describe('the tailscaled of the machine', () => {
  test('that is not connected', async () => {
    daemon.status = { ...runningStatus, BackendState: 'NeedsLogin' };
    expect(await changedBy({})).toEqual(['mesh-running: fail']);
  });
  test('whose key ends', async () => {
    const soon = new Date(Date.now() + 3 * dayMs).toISOString();
    daemon.status = { ...runningStatus, Self: { ...runningStatus.Self, KeyExpiry: soon } };
    expect(await changedBy({})).toEqual(['node-keys: fail']);
  });
  test('that gives something to the internet', async () => {
    daemon.serve = { AllowFunnel: { 'ai.mesh.internal:443': true } };
    expect(await changedBy({})).toEqual(['funnel-off: fail']);
  });
  test('in userspace mode, while loopback is believed', async () => {
    daemon.status = { ...runningStatus, TUN: false };
    expect(await changedBy({ config: { trustLoopback: true } })).toEqual([
      'userspace-loopback: fail',
    ]);
  });
});

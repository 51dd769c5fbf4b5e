import { err, ok, present } from '@postern/core/base';
import type { Config } from '@postern/core/contract';
import { parseConfig } from '@postern/core/contract';
import type { IncidentNote, KeyRecord } from '@postern/core/state';
import { emptyState, reduce } from '@postern/core/state';
import { describe, expect, test } from 'vitest';
import type { CheckFacts } from './index.ts';
import { checkLines, checkReport, exposureOf } from './index.ts';
import { secretsIn } from './secret-shapes.ts';

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;

const configFile = {
  providers: {
    gpu: { kind: 'openai', baseUrl: 'http://gpu.mesh.internal:8000/v1' },
    openai: { kind: 'openai', key: { env: 'OPENAI_API_KEY' } },
  },
  publicEdge: {
    address: ':443',
    hosts: ['ai.example.com'],
    tls: { certificateFile: '/etc/tls/cert.pem', keyFile: '/etc/tls/key.pem' },
  },
  budgets: { team: { usd: '10.00', every: 'day', match: ['*'] } },
  audit: { witness: ['/mnt/witness/checkpoints'] },
  alerts: {
    webhooks: [{ url: 'https://hooks.example.com/x', secret: { env: 'HOOK_SECRET' } }],
  },
} as const;

function configOf(change: Record<string, unknown> = {}): Config {
  const parsed = parseConfig({ ...configFile, ...change });
  if ('issues' in parsed) throw new Error(JSON.stringify(parsed.issues));
  return parsed.config;
}

const note: IncidentNote = {
  id: 'inc_1',
  step: 'drill',
  verdict: 'proven',
  digest: 'a'.repeat(64),
  atMs: nowMs - 30 * dayMs,
  isDrill: true,
};
const key: KeyRecord = {
  id: 'key_1',
  name: 'ci',
  digest: 'd'.repeat(64),
  hint: 'abcd',
  scope: {},
  boundTo: [],
  createdBy: 'local:uid:1000',
  createdAtMs: nowMs - 10 * dayMs,
};

function snapshotOf(parts: { note?: IncidentNote; key?: KeyRecord } = {}): CheckFacts['snapshot'] {
  const withNote = reduce(emptyState(), { kind: 'incident.noted', note: parts.note ?? note });
  return reduce(withNote, { kind: 'key.created', key: parts.key ?? key });
}

/** An instance in which everything is as it should be, with one of everything that is looked at. */
const healthy: CheckFacts = {
  nowMs,
  config: configOf(),
  configText: JSON.stringify(configFile),
  snapshot: snapshotOf(),
  listeners: [
    { kind: 'gateway', host: '127.0.0.1', port: 8080, address: '127.0.0.1:8080' },
    { kind: 'admin', host: '127.0.0.1', port: 8081, address: '127.0.0.1:8081' },
    { kind: 'tailnet', host: '100.64.0.1', port: 80, address: '100.64.0.1:80' },
    { kind: 'public', host: '0.0.0.0', port: 443, address: '0.0.0.0:443' },
  ],
  sockets: ok([
    { host: '127.0.0.1', port: 8080 },
    { host: '127.0.0.1', port: 8081 },
    { host: '100.64.0.1', port: 80 },
    { host: '0.0.0.0', port: 443 },
  ]),
  firewall: ok({ by: 'nft', input: 'drop' }),
  places: [
    {
      provider: 'gpu',
      host: 'gpu.mesh.internal',
      port: 8000,
      isVendor: false,
      addresses: ok(['100.64.0.9']),
      isLiteral: false,
    },
    {
      provider: 'openai',
      host: 'api.openai.com',
      port: 443,
      isVendor: true,
      addresses: ok(['162.159.140.245']),
      isLiteral: false,
    },
  ],
  reach: ok([
    {
      provider: 'gpu',
      target: '100.64.0.9',
      rows: [{ sources: ['tag:gateway'], network: 'tcp:8000' }],
    },
  ]),
  gatewayNames: ['tag:gateway', 'ai'],
  daemon: ok({
    state: 'Running',
    hasDevice: true,
    keyExpiresAtMs: nowMs + 100 * dayMs,
    funnels: [],
  }),
  engine: undefined,
  edge: ok([{ address: '0.0.0.0:443', plainStatus: undefined }]),
  forged: ok([{ address: '127.0.0.1:8080', status: 401, believed: false }]),
  egressRefused: ok(true),
  certificates: [{ listener: 'public', expiresAtMs: nowMs + 60 * dayMs }],
  files: ok([{ file: '/var/lib/postern', mode: 0o40700, isFolder: true }]),
  authority: 'policy',
  policy: {
    grants: [
      { src: ['group:dev'], dst: ['tag:gateway'], ip: ['tcp:80'], srcPosture: ['posture:safe'] },
    ],
  },
  drift: ok(undefined),
  node: 'v24.21.0',
  uid: 998,
  startedAtMs: nowMs - 10 * dayMs,
  backupAtMs: nowMs - 3_600_000,
  collateralAtMs: [{ vendor: 'intel', atMs: nowMs - dayMs }],
  clockIsSet: ok(true),
  space: ok({ freeBytes: 50, totalBytes: 100 }),
  records: ok(undefined),
  stores: ok([{ name: 'postgres', isProtected: true }]),
  ssh: [{ host: 'frank', pinned: true, logsIn: true, offers: ['publickey'] }],
};

const gpu = present(healthy.places[0], 'the place of the model server');
const daemon = { state: 'Running', hasDevice: true, keyExpiresAtMs: undefined, funnels: [] };

/** For each line what breaks it, and nothing else. */
const faults: Readonly<Record<string, Partial<CheckFacts>>> = {
  'inference-private': { places: [{ ...gpu, addresses: ok(['100.64.0.9', '198.18.7.7']) }] },
  'inference-gateway-only': {
    reach: ok([
      {
        provider: 'gpu',
        target: '100.64.0.9',
        rows: [{ sources: ['tag:gateway', 'laptop'], network: 'tcp:8000' }],
      },
    ]),
  },
  'listeners-private': {
    sockets: ok([{ host: '0.0.0.0', port: 8080 }]),
  },
  'admin-private': { sockets: ok([{ host: '::', port: 8081 }]) },
  'host-firewall': { firewall: ok({ by: 'nft', input: 'accept' }) },
  'https-public': { edge: ok([{ address: '0.0.0.0:443', plainStatus: 200 }]) },
  'certificates-current': {
    certificates: [{ listener: 'public', expiresAtMs: nowMs + 20 * dayMs }],
  },
  'identity-headers': {
    forged: ok([{ address: '127.0.0.1:8080', status: 200, believed: true }]),
  },
  'egress-list': { egressRefused: ok(false) },
  'userspace-loopback': {
    daemon: ok({ ...daemon, hasDevice: false }),
    config: configOf({ trustLoopback: true }),
  },
  'mesh-running': { daemon: ok({ ...daemon, state: 'NeedsLogin' }) },
  'node-keys': { daemon: ok({ ...daemon, keyExpiresAtMs: nowMs + 3 * dayMs }) },
  'funnel-off': { daemon: ok({ ...daemon, funnels: ['ai.tail.ts.net:443'] }) },
  'names-not-addresses': { places: [{ ...gpu, host: '100.64.0.9', isLiteral: true }] },
  'policy-in-force': { authority: 'none' },
  'policy-applied': { drift: ok('The file has a change that is not in force.') },
  'policy-width': {
    policy: {
      grants: [{ src: ['*'], dst: ['*'], ip: ['*'], srcPosture: ['posture:safe'] }],
    },
  },
  'device-posture': {
    policy: { grants: [{ src: ['group:dev'], dst: ['tag:gateway'], ip: ['tcp:80'] }] },
  },
  'incident-drilled': { snapshot: snapshotOf({ note: { ...note, atMs: nowMs - 91 * dayMs } }) },
  'secrets-elsewhere': { configText: `{"x": "sk-${'a'.repeat(40)}"}` },
  'file-modes': { files: ok([{ file: '/s/audit/key', mode: 0o100_644, isFolder: false }]) },
  'key-ages': { snapshot: snapshotOf({ key: { ...key, createdAtMs: nowMs - 91 * dayMs } }) },
  'caller-limits': { config: configOf({ budgets: {} }) },
  'fails-closed': {
    config: configOf({ audit: { ...configFile.audit, whenUnavailable: 'serve' } }),
  },
  'no-simulator': {
    config: configOf({
      mesh: {
        identity: { agent: '/run/dstack.sock' },
        trust: { insecureSimulatorRoot: 'a'.repeat(64) },
      },
    }),
  },
  'collateral-current': { collateralAtMs: [{ vendor: 'intel', atMs: nowMs - 31 * dayMs }] },
  'backup-age': { backupAtMs: nowMs - 3 * dayMs },
  'audit-witness': { config: configOf({ audit: {} }) },
  'records-whole': { records: ok('First bad record: 7.') },
  'store-links': { stores: ok([{ name: 'postgres', isProtected: false }]) },
  'alerts-sent': { config: configOf({ alerts: {} }) },
  'runtime-supported': { node: 'v20.20.2' },
  'not-root': { uid: 0 },
  'clock-set': { clockIsSet: ok(false) },
  'disk-space': { space: ok({ freeBytes: 9, totalBytes: 100 }) },
  'ssh-by-key': {
    ssh: [{ host: 'frank', pinned: true, logsIn: true, offers: ['publickey', 'password'] }],
  },
};

function verdicts(change: Partial<CheckFacts>): Record<string, string> {
  const { findings } = checkReport({ ...healthy, ...change });
  return Object.fromEntries(findings.map(({ id, verdict }) => [id, verdict]));
}

describe('the checklist', () => {
  test('passes whole where all is well', () => {
    const { verdict, findings } = checkReport(healthy);
    expect(findings.filter((each) => each.verdict !== 'pass')).toEqual([]);
    expect(verdict).toBe('pass');
  });

  test('has one fault for each line, and one line for each fault', () => {
    expect(Object.keys(faults).toSorted()).toEqual(checkLines.map(({ id }) => id).toSorted());
  });

  test.each(Object.keys(faults))('turns red on exactly %s', (id) => {
    const red = Object.entries(verdicts(present(faults[id], id)))
      .filter(([, verdict]) => verdict !== 'pass')
      .map(([line, verdict]) => `${line}: ${verdict}`);
    expect(red).toEqual([`${id}: fail`]);
  });

  test.each([
    [{ pinned: false }, 'the host key of frank is not pinned'],
    [{ logsIn: false }, 'frank does not take the key of whoever asks'],
    [{ offers: [] }, 'frank does not answer'],
    [{ offers: ['publickey', 'keyboard-interactive'] }, 'frank also takes keyboard-interactive'],
  ])('says what is wrong with SSH: %j', (change, evidence) => {
    const host = { host: 'frank', pinned: true, logsIn: true, offers: ['publickey'], ...change };
    const found = checkReport({ ...healthy, ssh: [host] }).findings.find(
      ({ id }) => id === 'ssh-by-key',
    );
    expect([found?.verdict, found?.evidence]).toEqual(['fail', [evidence]]);
  });

  test('every line says why it matters and what to type next', () => {
    for (const { id, title, why, next } of checkLines) {
      expect(id).toMatch(/^[a-z]+(?:-[a-z]+)*$/);
      expect(title, id).not.toMatch(/\.$/);
      expect(why, id).toMatch(/\.$/);
      expect(next, id).not.toBe('');
    }
  });
});

describe('what could not be looked at', () => {
  const dark = err('permission denied');
  const unread: Readonly<Record<string, Partial<CheckFacts>>> = {
    'inference-private': { places: [{ ...gpu, addresses: dark }] },
    'inference-gateway-only': { reach: dark },
    'host-firewall': { firewall: dark },
    'https-public': { edge: dark },
    'identity-headers': { forged: dark },
    'egress-list': { egressRefused: dark },
    'policy-applied': { drift: dark },
    'file-modes': { files: dark },
    'records-whole': { records: dark },
    'store-links': { stores: dark },
    'clock-set': { clockIsSet: dark },
    'disk-space': { space: dark },
    'runtime-supported': { node: 'bun' },
  };
  test.each(Object.keys(unread))('is unknown and never passes: %s', (id) => {
    expect(verdicts(present(unread[id], id))[id]).toBe('unknown');
  });

  test('makes the lines about tailscaled unknown together', () => {
    expect(verdicts({ daemon: dark })).toMatchObject({
      'mesh-running': 'unknown',
      'node-keys': 'unknown',
      'funnel-off': 'unknown',
      'userspace-loopback': 'unknown',
    });
    expect(checkReport({ ...healthy, daemon: dark }).verdict).toBe('unknown');
  });
});

test.each([
  ['127.0.0.1', 'loopback'],
  ['::1', 'loopback'],
  ['100.64.0.7', 'mesh'],
  ['fd7a:115c:a1e0::7', 'mesh'],
  ['10.0.2.27', 'private'],
  ['fd00::7', 'private'],
  ['0.0.0.0', 'wildcard'],
  ['::', 'wildcard'],
  ['::ffff:10.0.0.1', 'private'],
  ['8.8.8.8', 'public'],
  ['100.128.0.1', 'public'],
  ['2606:4700::1', 'public'],
])('%s is %s', (address, exposure) => {
  expect(exposureOf(address)).toBe(exposure);
});

test('secrets are told by their shape, with their line and never their text', () => {
  const text = [
    '{',
    `"a": "tskey-auth-${'k'.repeat(20)}",`,
    '"url": "postgresql://u:pw@h/db"',
    '}',
  ];
  expect(secretsIn(text.join('\n'))).toEqual([
    'line 2: a key of Tailscale',
    'line 3: a password in an address',
  ]);
  expect(secretsIn('{"key": {"env": "OPENAI_API_KEY"}, "baseUrl": "http://gpu:8000/v1"}')).toEqual(
    [],
  );
});

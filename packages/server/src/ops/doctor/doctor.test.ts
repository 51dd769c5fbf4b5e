import { err, ok, present } from '@postern/core/base';
import { describe, expect, test } from 'vitest';
import type { DoctorFacts } from './index.ts';
import { doctorRows, judgeDoctor } from './index.ts';

const nowMs = 1_800_000_000_000;
const dayMs = 86_400_000;
const peer = {
  file: 'peer.pem',
  hasEvidence: true,
  isKnownIssuer: true,
  issuer: 'CN=KMS',
  expiresAtMs: nowMs + dayMs,
};
const authKey = {
  variable: 'TS_AUTHKEY',
  shape: 'tailscale',
  daemonState: 'Running',
  complaint: undefined,
  tags: ['tag:ai-proxy'],
} as const;

/** A machine where everything is looked at and nothing is wrong. */
const well: DoctorFacts = {
  nowMs,
  node: 'v24.21.0',
  version: '0.1.0',
  running: ok('0.1.0'),
  stateFolder: { path: '/s', state: 'there', detail: '' },
  configuration: ok('/s/postern.hujson'),
  policy: ok('/s/policy.hujson'),
  operator: undefined,
  providers: [{ id: 'gpu', place: 'gpu:8000', models: ok(2) }],
  providerProblems: [],
  certificates: [{ file: 'edge.pem', expiresAtMs: ok(nowMs + 60 * dayMs) }],
  clockIsSet: ok(true),
  clockOffsetMs: ok(200),
  space: ok({ freeBytes: 50, totalBytes: 100 }),
  authKey,
  containerHealth: { url: 'http://127.0.0.1:9002/healthz', status: 200, isEnabled: true },
  agentSocket: { path: '/var/run/dstack.sock', state: 'there' },
  peer: ok(peer),
  appIds: [{ at: 'registry.allowedApps', text: 'a'.repeat(40) }],
};

/** What is wrong, and the finding that says so. */
const faults: readonly (readonly [what: string, id: string, facts: Partial<DoctorFacts>])[] = [
  ['a runtime past its end', 'runtime', { node: 'v20.20.2' }],
  ['an odd line', 'runtime', { node: 'v25.1.0' }],
  ['an old release of a good line', 'runtime', { node: 'v22.18.0' }],
  ['an update that waits for a restart', 'version', { running: ok('0.0.9') }],
  [
    'an open state folder',
    'state-folder',
    { stateFolder: { path: '/s', state: 'open-to-others', detail: '755' } },
  ],
  [
    'a state folder of another user',
    'state-folder',
    { stateFolder: { path: '/s', state: 'unreadable', detail: 'EACCES' } },
  ],
  ['a mistake in the configuration', 'configuration', { configuration: err('1:10: /frob') }],
  ['a mistake in the policy', 'policy', { policy: err('line 3: no such tag') }],
  [
    'a model server that is down',
    'providers',
    { providers: [{ id: 'gpu', place: 'gpu:8000', models: err('refused') }] },
  ],
  [
    'a provider that cannot be set up',
    'providers',
    { providerProblems: ['PROVIDER_BASE_URL is no URL'] },
  ],
  [
    'a certificate that ends',
    'certificates',
    { certificates: [{ file: 'e', expiresAtMs: ok(nowMs + dayMs) }] },
  ],
  [
    'a certificate that is none',
    'certificates',
    { certificates: [{ file: 'e', expiresAtMs: err('no PEM') }] },
  ],
  ['a clock that is ahead', 'clock', { clockOffsetMs: ok(90_000) }],
  ['a clock that is behind', 'clock', { clockOffsetMs: ok(-90_000) }],
  ['a clock that nothing keeps', 'clock', { clockIsSet: ok(false) }],
  ['a full disk', 'disk', { space: ok({ freeBytes: 1, totalBytes: 100 }) }],
  ['a key that is none', 'auth-key', { authKey: { ...authKey, shape: 'unknown' } }],
  [
    'a key that the network refused',
    'auth-key',
    { authKey: { ...authKey, complaint: 'key expired' } },
  ],
  [
    'a key that logged nobody in',
    'auth-key',
    { authKey: { ...authKey, daemonState: 'NeedsLogin' } },
  ],
  [
    'a container that answers 503',
    'container-health',
    { containerHealth: { url: 'u', status: 503, isEnabled: true } },
  ],
  [
    'a container that does not tell',
    'container-health',
    { containerHealth: { url: 'u', status: undefined, isEnabled: false } },
  ],
  [
    'an agent socket that is not there',
    'agent-socket',
    { agentSocket: { path: '/x', state: 'missing' } },
  ],
  [
    'an agent socket of another user',
    'agent-socket',
    { agentSocket: { path: '/x', state: 'denied' } },
  ],
  [
    'an agent socket that is a file',
    'agent-socket',
    { agentSocket: { path: '/x', state: 'no-socket' } },
  ],
  ['a certificate without evidence', 'ra-tls', { peer: ok({ ...peer, hasEvidence: false }) }],
  [
    'a certificate of another authority',
    'ca-match',
    { peer: ok({ ...peer, isKnownIssuer: false }) },
  ],
  ['an app id of another form', 'app-id', { appIds: [{ at: 'VPC_ALLOWED_APPS', text: '0xabc' }] }],
];

const red = (facts: Partial<DoctorFacts>): readonly string[] =>
  judgeDoctor({ ...well, ...facts })
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ id, verdict }) => `${id}: ${verdict}`);

describe('doctor', () => {
  test('finds nothing where nothing is wrong', () => {
    expect(red({})).toEqual([]);
  });

  test.each(faults)('finds %s, and nothing else: %s', (_what, id, facts) => {
    expect(red(facts)).toEqual([`${id}: fail`]);
    const found = present(
      judgeDoctor({ ...well, ...facts }).find((each) => each.id === id),
      id,
    );
    expect(found.next).not.toBeUndefined();
  });

  test('has a fault for every row that can fail', () => {
    const shown = new Set(faults.map(([, id]) => id));
    const rows = doctorRows.map(({ id }) => id).filter((id) => id !== 'local-operator');
    expect(rows.filter((id) => !shown.has(id))).toEqual([]);
  });

  test('notes what is no mistake', () => {
    expect(red({ operator: 'a container' })).toEqual(['local-operator: note']);
    expect(red({ configuration: undefined })).toEqual(['configuration: note']);
    expect(red({ policy: { ...ok('there is none'), isMissing: true } })).toEqual(['policy: note']);
    expect(red({ running: ok(undefined) })).toEqual(['version: note']);
    expect(red({ peer: undefined })).toEqual(['ra-tls: note', 'ca-match: note']);
    expect(red({ clockOffsetMs: err('no'), clockIsSet: err('no') })).toEqual(['clock: note']);
  });

  test('does not take for good what it could not look at', () => {
    expect(red({ peer: err('no PEM'), space: err('EIO'), running: err('EACCES') })).toEqual([
      'version: unknown',
      'disk: unknown',
      'ra-tls: unknown',
      'ca-match: unknown',
    ]);
  });
});

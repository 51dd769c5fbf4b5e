import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { parseCertificate, type SpiffeBundle } from '@postern/core/attest/x509';
import { err, ok, Secret } from '@postern/core/base';
import { der, writePem } from '@postern/core/base/der';
import { expect, test } from 'vitest';
import {
  createAgentSource,
  createAuthoritySource,
  createFileSource,
} from '../../packages/server/src/adapters/mesh-identity/index.ts';
import { createSpiffeSource } from '../../packages/server/src/adapters/mesh-identity/spiffe/index.ts';
import { nodeSignatureVerifier } from '../../packages/server/src/adapters/crypto-node/index.ts';
import { createLazyEgress } from '../../packages/server/src/app/egress.ts';
import type { IdentitySource } from '../../packages/server/src/mesh/index.ts';
import { startGateway } from '../conformance/gateway.ts';
import { authority, type Issued, leaf, testKey } from '../fakes/pki.ts';
import { type FakeSvid, startSpireAgent } from '../fakes/spire-agent.ts';
import { identitySuite } from './identity-suite.ts';
import { callee, machine, trust } from './world.ts';

const domain = 'mesh.example';

identitySuite('the guest agent', async () => {
  let isGone = false;
  return {
    source: async (app) => {
      const simulator = machine(app.slice(0, 2));
      return createAgentSource({
        name: 'simulator',
        nowMs: Date.now,
        agent: {
          getTlsKey: async (request) => {
            if (isGone) return err({ message: 'the socket is gone' });
            const { keyPem, chain } = simulator.tlsKey({ altNames: [], ...request });
            return ok({ key: new Secret(keyPem), certificateChain: chain });
          },
        },
      });
    },
    trust: () => trust,
    fail: () => (isGone = true),
    close: async () => undefined,
  };
});

identitySuite('files that somebody else renews', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-mesh-'));
  const [certificateFile, keyFile] = [path.join(dir, 'crt'), path.join(dir, 'key')];
  let writing = Promise.resolve();
  const renew = (): void => {
    const { keyPem, chain } = machine('bb').tlsKey({
      subject: 'x',
      altNames: [],
      usageRaTls: true,
      usageServerAuth: true,
      usageClientAuth: true,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 1_800_000,
    });
    writing = writing
      .then(() => writeFile(certificateFile, chain.join('')))
      .then(() => writeFile(keyFile, keyPem, { mode: 0o600 }));
  };
  renew();
  return {
    source: async () => {
      await writing;
      const inner = createFileSource({ certificateFile, keyFile, uid: process.getuid?.() });
      return { ...inner, issue: (signal) => writing.then(() => inner.issue(signal)) };
    },
    trust: () => trust,
    renew,
    fail: () => void (writing = writing.then(() => rm(keyFile))),
    close: async () => {
      await writing;
      await rm(dir, { recursive: true });
    },
  };
});

/** A Postern that issues, and machines that join it. */
export async function authorityRig(tokens: 'once' | 'reusable' = 'once') {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-mesh-'));
  const issuer = await startGateway({
    env: { POSTERN_CONTROL_ADDR: '127.0.0.1:0' },
    config: {
      mesh: {
        outbound: { enabled: false },
        authority: {
          trustDomain: domain,
          apps: [{ app: callee.app.appId, join: 'callee' }],
          tokens,
        },
      },
    },
  });
  const egress = createLazyEgress();
  const sources: IdentitySource[] = [];
  let isGone = false;
  let machines = 0;
  const url = new URL(`http://${issuer.address('control')}`);
  const enrolled = (file: string, token: string | undefined): IdentitySource => {
    const source = createAuthoritySource({
      url,
      app: callee.app.appId,
      token: token === undefined ? undefined : async () => ok(new Secret(token)),
      file,
      uid: process.getuid?.(),
      egress: (request) =>
        isGone
          ? Promise.resolve({
              ok: false,
              error: { code: 'upstream_unavailable', message: 'the authority is away' },
            })
          : egress.egress(request),
      signatures: nodeSignatureVerifier,
      nowMs: Date.now,
    });
    sources.push(source);
    return source;
  };
  const fileOf = (name: string) => path.join(dir, name, 'enrolment.json');
  return {
    issuer,
    url,
    enrolled,
    fileOf,
    source: async () => {
      machines += 1;
      const token = await issuer.key(`machine${machines}`, { join: ['callee'] });
      return enrolled(fileOf(`m${machines}`), token);
    },
    trust: () => ({
      ...trust,
      appraisal: undefined,
      bundles: new Map<string, SpiffeBundle>(
        sources.flatMap((each) => [...(each.bundles?.() ?? [])]),
      ),
    }),
    fail: () => void (isGone = true),
    close: async () => {
      await issuer.stop();
      await egress.close();
      await rm(dir, { recursive: true });
    },
  };
}

identitySuite('Postern’s own authority', authorityRig);

const hourMs = 3_600_000;

/** A root of a trust domain and leaves of it, as of now. */
function issuing(name: string) {
  const validity = der.sequence(der.time(now() - 60_000), der.time(now() + 24 * hourMs));
  const root = authority(`root ${name}`, { fields: { validity } });
  const svid = (uri: string, lifeMs = hourMs - 60_000): FakeSvid => {
    const key = testKey();
    const window = der.sequence(der.time(now() - 60_000), der.time(now() + lifeMs));
    const made: Issued = leaf([`uri:${uri}`], { issuer: root, key, fields: { validity: window } });
    return { spiffeId: uri, chain: [made.der], key: key.privateKey, bundle: [root.der] };
  };
  return { root, svid };
}

function now(): number {
  return Math.floor(Date.now() / 1_000) * 1_000;
}

const workload = `spiffe://${domain}/app/${callee.app.appId}`;

async function spiffeRig() {
  const dir = await mkdtemp(path.join(tmpdir(), 'postern-spire-'));
  const socket = path.join(dir, 'agent.sock');
  const agent = await startSpireAgent(socket);
  const { root, svid } = issuing(domain);
  const ends = new AbortController();
  const problems: string[] = [];
  agent.push({ svids: [svid(workload)] });
  const parsed = parseCertificate(root.der);
  if (!parsed.ok) throw new Error('a root');
  const bundle: SpiffeBundle = {
    trustDomain: domain,
    authorities: [parsed.value],
    sequence: undefined,
    refreshHintMs: undefined,
  };
  return {
    agent,
    svid,
    problems,
    make: (id?: string) =>
      createSpiffeSource({
        address: `unix:${socket}`,
        id,
        nowMs: Date.now,
        onProblem: (problem) => void problems.push(problem),
        firstMs: 1_000,
        retryMsMin: 20,
      }),
    source: async () => {
      const source = createSpiffeSource({
        address: `unix:${socket}`,
        id: undefined,
        nowMs: Date.now,
        onProblem: (problem) => void problems.push(problem),
        firstMs: 1_000,
        retryMsMin: 20,
      });
      source.follow?.(() => undefined, ends.signal);
      return source;
    },
    trust: () => ({ ...trust, appraisal: undefined, bundles: new Map([[domain, bundle]]) }),
    renew: () => agent.push({ svids: [svid(workload)] }),
    fail: () => agent.deny(),
    close: async () => {
      ends.abort();
      agent.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

identitySuite('a SPIFFE Workload API', spiffeRig);

const never = new AbortController().signal;

test('a message of the agent brings trust, also of federated domains, at once', async () => {
  const rig = await spiffeRig();
  const source = rig.make();
  try {
    expect((await source.issue(never)).ok).toBe(true);
    expect([...(source.bundles?.().keys() ?? [])]).toEqual([domain]);
    const other = issuing('other.example');
    rig.agent.push({
      svids: [rig.svid(workload)],
      federated: { 'other.example': [other.root.der] },
    });
    await expect
      .poll(() => [...(source.bundles?.().keys() ?? [])].toSorted())
      .toEqual([domain, 'other.example']);
    // No longer federated: no longer believed. An empty bundle is a domain without authorities.
    rig.agent.push({ svids: [rig.svid(workload)], federated: { 'third.example': [] } });
    await expect.poll(() => source.bundles?.().get('third.example')?.authorities).toEqual([]);
    expect(source.bundles?.().has('other.example')).toBe(false);
  } finally {
    await rig.close();
  }
});

test('an agent that restarts is found again, and what it gave counts meanwhile', async () => {
  const rig = await spiffeRig();
  const source = rig.make();
  const ends = new AbortController();
  let changes = 0;
  source.follow?.(() => (changes += 1), ends.signal);
  try {
    const first = await source.issue(never);
    rig.agent.drop();
    expect(await source.issue(never)).toEqual(first);
    await expect.poll(() => rig.agent.streams()).toBe(1);
    rig.renew();
    await expect.poll(() => changes).toBeGreaterThan(1);
    expect(await source.issue(never)).not.toEqual(first);
    expect(rig.problems.join()).toContain('ended the stream');
  } finally {
    ends.abort();
    await rig.close();
  }
});

test('the identity that was asked for is taken, and no other one', async () => {
  const rig = await spiffeRig();
  const [a, b] = [`${workload}/instance/01`, `${workload}/instance/02`];
  rig.agent.push({ svids: [rig.svid(a), rig.svid(b)] });
  const hashOf = async (source: IdentitySource) => {
    const issued = await source.issue(never);
    return issued.ok
      ? createHash('sha256')
          .update(issued.value.chain[0] ?? '')
          .digest('hex')
      : issued.error;
  };
  try {
    const [one, two, none] = [rig.make(), rig.make(b), rig.make(`${workload}/instance/03`)];
    const [first, second] = [await hashOf(one), await hashOf(two)];
    expect(first).toHaveLength(64);
    expect(second).toHaveLength(64);
    expect(second).not.toBe(first);
    expect(await hashOf(none)).toContain('has no identity');
  } finally {
    await rig.close();
  }
});

test('a malformed message changes nothing', async () => {
  const rig = await spiffeRig();
  const source = rig.make();
  try {
    const first = await source.issue(never);
    const stranger = issuing(domain).svid(workload);
    for (const bad of [
      new Uint8Array(),
      Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f),
      Uint8Array.of(0x0b, 0x00),
      new Uint8Array(5_000).fill(0x08),
    ]) {
      rig.agent.pushRaw(bad);
    }
    rig.agent.push({ svids: [{ ...rig.svid(workload), key: stranger.key }] });
    await expect.poll(() => rig.problems.at(-1) ?? '').toContain('not the one of the certificate');
    expect(await source.issue(never)).toEqual(first);
  } finally {
    await rig.close();
  }
});

test('a certificate of Postern’s authority joins once for a token, and renews by its own key', async () => {
  const rig = await authorityRig();
  try {
    const token = await rig.issuer.key('one', { join: ['callee'] });
    const first = await rig.enrolled(rig.fileOf('a'), token).issue(never);
    expect(first.ok ? 'issued' : first.error).toBe('issued');
    // The same machine after a restart: its file renews, and needs no token.
    const again = rig.enrolled(rig.fileOf('a'), undefined);
    expect((await again.issue(never)).ok).toBe(true);
    const stored = await readFile(rig.fileOf('a'), 'utf8');
    expect(stored).toContain('renewal_key');
    // Another machine with the same token.
    const second = await rig.enrolled(rig.fileOf('b'), token).issue(never);
    expect(second.ok ? '' : second.error).toContain('has joined a machine already');
    // A key that is not for joining, one for other nodes, and none.
    for (const [scope, said] of [
      [{}, 'is not one for the app'],
      [{ join: ['other'] }, 'is not one for the app'],
    ] as const) {
      const other = await rig.issuer.key(`k${said.length}${Object.keys(scope).length}`, scope);
      const refused = await rig.enrolled(rig.fileOf(`c${other.slice(-4)}`), other).issue(never);
      expect(refused.ok ? '' : refused.error).toContain(said);
    }
    const nobody = await rig.enrolled(rig.fileOf('d'), 'pst_nonsense').issue(never);
    expect(nobody.ok ? '' : nobody.error).toContain('status 401');
    const none = await rig.enrolled(rig.fileOf('e'), undefined).issue(never);
    expect(none.ok ? '' : none.error).toContain('no join token');
  } finally {
    await rig.close();
  }
});

test('a renewal key that others may read, or a forged one, gets nothing', async () => {
  const rig = await authorityRig();
  try {
    const token = await rig.issuer.key('one', { join: ['callee'] });
    const file = rig.fileOf('a');
    expect((await rig.enrolled(file, token).issue(never)).ok).toBe(true);
    const stored = JSON.parse(await readFile(file, 'utf8')) as Record<string, string>;
    await writeFile(rig.fileOf('a'), JSON.stringify(stored));
    const { chmod, mkdir } = await import('node:fs/promises');
    await chmod(file, 0o644);
    const open = await rig.enrolled(file, undefined).issue(never);
    expect(open.ok ? '' : open.error).toContain('others may read it');
    // The instance of one machine with the key of another.
    const { generateKeyPairSync } = await import('node:crypto');
    const forged = generateKeyPairSync('ed25519').privateKey;
    const renewal_key = forged.export({ format: 'pem', type: 'pkcs8' });
    await mkdir(path.dirname(rig.fileOf('f')), { recursive: true });
    await writeFile(rig.fileOf('f'), JSON.stringify({ ...stored, renewal_key }), { mode: 0o600 });
    const refused = await rig.enrolled(rig.fileOf('f'), undefined).issue(never);
    expect(refused.ok ? '' : refused.error).toContain('status 401');
  } finally {
    await rig.close();
  }
});

test('the PEM of a leaf that the authority made names app and instance, and nothing that was asked for', async () => {
  const rig = await authorityRig();
  try {
    const source = await rig.source();
    const issued = await source.issue(never);
    if (!issued.ok) throw new Error(issued.error);
    const [bytes] = issued.value.chain;
    const parsed = parseCertificate(bytes ?? new Uint8Array());
    if (!parsed.ok) throw new Error('a leaf');
    const names = JSON.stringify(parsed.value.subjectAltNames);
    expect(names).toMatch(
      new RegExp(`"spiffe://${domain}/app/${callee.app.appId}/instance/[0-9a-f]{40}"`),
    );
    expect(writePem({ label: 'CERTIFICATE', bytes: bytes ?? new Uint8Array() })).toContain('BEGIN');
  } finally {
    await rig.close();
  }
});

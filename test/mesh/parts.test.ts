import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { parseCertificate } from '@postern/core/attest/x509';
import { parseConfig } from '@postern/core/contract';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  nodeCrypto,
  nodeSignatureVerifier,
} from '../../packages/server/src/adapters/crypto-node/index.ts';
import { createFileSource } from '../../packages/server/src/adapters/mesh-identity/index.ts';
import { createMeshDecider } from '../../packages/server/src/app/mesh/decide.ts';
import { planMesh } from '../../packages/server/src/app/mesh/plan.ts';
import {
  gatewayCandidate,
  judgePeer,
  noFacts,
  parseDstackMeshToml,
  parseGatewayDomain,
  readTarget,
  workloadSpiffeId,
} from '../../packages/server/src/mesh/index.ts';
import { callee, caller, stranger, trust } from './world.ts';

const app = 'aB'.repeat(20);
const tools = { crypto: nodeCrypto, signatures: nodeSignatureVerifier };

function derChain(pems: readonly string[]): Uint8Array[] {
  return pems.map((pem) => {
    const body = pem.replaceAll(/-----[^-]+-----|\s/g, '');
    return new Uint8Array(Buffer.from(body, 'base64'));
  });
}

function kmsChain(machine: typeof callee): Uint8Array[] {
  const { chain } = machine.tlsKey({
    subject: 'x',
    altNames: [],
    usageRaTls: false,
    usageServerAuth: true,
    usageClientAuth: true,
    notBeforeMs: Date.now() - 60_000,
    notAfterMs: Date.now() + 1_800_000,
  });
  return derChain(chain);
}

describe('targets', () => {
  test('are 40 hex digits, a port and an instance, and nothing else', () => {
    expect(readTarget(['X-Dstack-Target-App', app])).toEqual({
      ok: true,
      value: { appId: app.toLowerCase(), instanceId: undefined, port: 443 },
    });
    expect(readTarget(['host', 'x'])).toEqual({ ok: true, value: undefined });
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 60 }), (text) => {
        const read = readTarget(['x-dstack-target-app', text]);
        return !read.ok || /^[0-9a-f]{40}$/.test(read.value?.appId ?? '');
      }),
    );
  });
  test('by the gateway’s domain have the s with which it passes TLS through', () => {
    const domain = parseGatewayDomain('apps.example.com');
    if (!domain.ok) throw new Error(domain.error);
    const address = { appId: 'ab'.repeat(20), instanceId: undefined, port: 27_017 };
    expect(gatewayCandidate(domain.value, address)).toEqual({
      host: `${'ab'.repeat(20)}-27017s.apps.example.com`,
      port: 443,
      serverName: `${'ab'.repeat(20)}-27017s.apps.example.com`,
    });
    expect(gatewayCandidate(domain.value, { ...address, instanceId: 'cd' }).host).toMatch(/^cd-/);
    for (const bad of ['', 'a b', 'x/y', 'x:0', 'x:70000', '10.0.0.1', 'a..b', '-a', 'x:1:2']) {
      expect(parseGatewayDomain(bad).ok).toBe(false);
    }
    expect(parseGatewayDomain('fixed/127.0.0.1:443').ok).toBe(true);
  });
});

describe('dstack-mesh.toml', () => {
  test('is read as the original writes it', () => {
    const text = `[client]
address = "0.0.0.0"
port = 8091

[auth]
address = "0.0.0.0" # all
port = 8092
[dstack]
gateway_domain = "example.com"
[tls]
cert_file = "/etc/ssl/certs/server.crt"
key_file = '/etc/ssl/private/server.key'
ca_file = "/etc/ssl/certs/ca.crt"
`;
    expect(parseDstackMeshToml(text)).toEqual({
      ok: true,
      value: {
        client: { address: '0.0.0.0', port: 8091 },
        auth: { address: '0.0.0.0', port: 8092 },
        gatewayDomain: 'example.com',
        certFile: '/etc/ssl/certs/server.crt',
        keyFile: '/etc/ssl/private/server.key',
        caFile: '/etc/ssl/certs/ca.crt',
      },
    });
  });
  test('a key that it does not have, or has twice, is an error with its line', () => {
    for (const [text, line] of [
      ['[client]\nprot = 1', 'line 2'],
      ['[other]', 'line 1'],
      ['port = 1', 'line 1'],
      ['[client]\nport = 1\nport = 2', 'line 3'],
      ['[client]\nport = "1"', 'port'],
      ['[client]\naddress = nope', 'line 2'],
    ] as const) {
      const read = parseDstackMeshToml(text);
      expect(read.ok ? '' : read.error).toContain(line);
    }
  });
});

describe('key files', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'postern-mesh-'));
  const file = (name: string, content: string, mode: number): string => {
    const at = path.join(folder, name);
    writeFileSync(at, content);
    chmodSync(at, mode);
    return at;
  };
  const { keyPem, chain } = callee.tlsKey({
    subject: 'x',
    altNames: [],
    usageRaTls: true,
    usageServerAuth: true,
    usageClientAuth: true,
  });
  const certificateFile = file('c.pem', chain.join(''), 0o644);
  const uid = process.getuid?.();
  const issue = (keyFile: string) =>
    createFileSource({ certificateFile, keyFile, uid }).issue(new AbortController().signal);

  test('that others may read are refused, for group and everybody', async () => {
    for (const mode of [0o644, 0o640, 0o604, 0o660]) {
      const issued = await issue(file(`k${mode}`, keyPem, mode));
      expect(issued.ok ? '' : issued.error).toContain('others may read it');
    }
    expect((await issue(file('good', keyPem, 0o600))).ok).toBe(true);
  });
  test('of another key than the certificate’s are refused, and the refusal shows nothing of them', async () => {
    const other = stranger.tlsKey({
      subject: 'x',
      altNames: [],
      usageRaTls: false,
      usageServerAuth: true,
      usageClientAuth: true,
    }).keyPem;
    const issued = await issue(file('other', other, 0o600));
    expect(issued.ok ? '' : issued.error).toBe('the key is not the one of the certificate');
    const broken = await issue(
      file('broken', '-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END', 0o600),
    );
    expect(broken.ok ? '' : broken.error).not.toContain('c2VjcmV0');
    rmSync(folder, { recursive: true });
  });
});

describe('the word of a KMS', () => {
  const root = parseCertificate(callee.kmsRoot.certificate);
  const roots = root.ok ? [root.value] : [];
  const ask = (chain: readonly Uint8Array[], kmsRoots = roots) =>
    judgePeer(
      {
        chain,
        role: 'server',
        nowMs: Date.now(),
        trust: { ...trust, kmsRoots },
        facts: noFacts,
        target: { appId: callee.app.appId, instanceId: undefined },
      },
      tools,
    );

  test('counts where its root is pinned, and is called what it is', () => {
    const judged = ask(kmsChain(callee));
    expect(judged.ok && judged.value).toMatchObject({ kind: 'kms', appId: callee.app.appId });
  });
  test('does not count for another app, without the app’s authority, or where no root is pinned', () => {
    expect(ask(kmsChain(caller)).ok).toBe(false);
    expect(ask(kmsChain(callee).slice(0, 1)).ok).toBe(false);
    expect(ask(kmsChain(callee), []).ok).toBe(false);
  });
});

test('a workload’s SPIFFE ID has its app, and its instance where there is one', () => {
  const target = { appId: 'ab'.repeat(20), instanceId: 'CD' };
  expect(workloadSpiffeId('mesh.test', target)).toBe(
    `spiffe://mesh.test/app/${'ab'.repeat(20)}/instance/cd`,
  );
  expect(workloadSpiffeId('mesh.test', { ...target, appId: 'x' })).toBeUndefined();
});

describe('configuration', () => {
  const parse = (mesh: unknown) => parseConfig({ mesh });
  test('doors are on loopback and off unless they are written down', () => {
    const parsed = parse({});
    const mesh = 'config' in parsed ? parsed.config.mesh : undefined;
    const plan = mesh === undefined ? undefined : planMesh(mesh, {});
    expect(plan?.ok === true && plan.value.doors).toEqual({
      outbound: [
        { host: '127.0.0.1', port: 8091 },
        { host: '::1', port: 8091 },
      ],
      auth: [],
      inbound: [],
      forwards: [],
    });
    expect(mesh?.agentPassthrough).toEqual([]);
    expect(mesh?.trust.appraisalFile).toBeUndefined();
  });
  test('variables move the doors', () => {
    const parsed = parse({
      auth: { enabled: true },
      inbound: [{ port: 443, backend: '127.0.0.1:1' }],
    });
    const mesh = 'config' in parsed ? parsed.config.mesh : undefined;
    const env = {
      POSTERN_MESH_OUTBOUND_ADDR: '127.0.0.1:1',
      POSTERN_MESH_AUTH_ADDR: '127.0.0.1:2',
      POSTERN_MESH_INBOUND_ADDR: '10.0.0.1:3',
    };
    const plan = mesh === undefined ? undefined : planMesh(mesh, env);
    expect(plan?.ok === true && plan.value.doors).toMatchObject({
      outbound: [{ host: '127.0.0.1', port: 1 }],
      auth: [{ host: '127.0.0.1', port: 2 }],
      inbound: [{ bind: { host: '10.0.0.1', port: 3 }, service: { port: 443 } }],
    });
  });
  test('a backend that others could reach, and methods that give keys, cannot be written', () => {
    expect('issues' in parse({ inbound: [{ port: 1, backend: '10.0.0.1:80' }] })).toBe(true);
    expect('issues' in parse({ agentPassthrough: ['GetTlsKey'] })).toBe(true);
    expect('issues' in parse({ unknown: 1 })).toBe(true);
  });
});

describe('the policy', () => {
  const text = `{"tagOwners":{"tag:peer":[]},"grants":[{"src":["tag:peer"],"dst":["*"],"app":{
    "postern.dev/cap/mesh":[{"apps":["${caller.app.appId}"],"ports":[443],"methods":["GET"],"paths":["/open/**"]}]}}]}`;
  const mappings = [{ app: caller.app.appId, as: ['tag:peer'] }];
  const judged = (machine: typeof callee) => {
    const root = parseCertificate(machine.kmsRoot.certificate);
    const peer = judgePeer(
      {
        chain: kmsChain(machine),
        role: 'client',
        nowMs: Date.now(),
        trust: { ...trust, kmsRoots: root.ok ? [root.value] : [] },
        facts: noFacts,
      },
      tools,
    );
    if (!peer.ok) throw new Error(JSON.stringify(peer.error));
    return peer.value;
  };
  const decide = createMeshDecider({
    policy: () => ({ text, revision: 'r1' }),
    mappings: () => mappings,
  });
  const open = { port: 443, method: 'GET', path: '/open/x' };

  test('lets in whom a grant names, where it says, and nobody else', async () => {
    const peer = judged(caller);
    expect(await decide({ peer, ...open })).toMatchObject({ allowed: true });
    for (const change of [
      { port: 80 },
      { method: 'POST' },
      { path: '/x' },
      { method: undefined, path: undefined },
    ]) {
      expect(await decide({ peer, ...open, ...change })).toMatchObject({ allowed: false });
    }
    expect(await decide({ peer: judged(callee), ...open })).toMatchObject({ allowed: false });
  });
  test('without one nobody is let in', async () => {
    const none = createMeshDecider({ policy: () => undefined, mappings: () => mappings });
    expect(await none({ peer: judged(caller), ...open })).toMatchObject({ allowed: false });
  });
});

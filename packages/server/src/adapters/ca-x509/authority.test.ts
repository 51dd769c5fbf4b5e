import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import {
  type Certificate,
  clockSkewMs,
  leafLifetimeMsMax,
  parseCertificate,
  parseSpiffeBundle,
  parseSpiffeId,
  profiles,
  type SpiffeBundle,
  spiffeBundleDocument,
  type TrustBundle,
  usageOid,
  verifyPath,
  verifySvid,
} from '@postern/core/attest/x509';
import { der, writePem } from '@postern/core/base/der';
import { describe, expect, test } from 'vitest';
import { verifier } from '../../../../../test/fakes/pki.ts';
import { type AuthorityStore, createCertificateAuthority, type StoredGeneration } from './index.ts';

const start = Date.UTC(2026, 0, 1);
const hour = 3_600_000;
const plan = { lifetimeMs: 240 * hour, overlapMs: 24 * hour };

function memoryStore(): AuthorityStore & { readonly generations: StoredGeneration[] } {
  const generations: StoredGeneration[] = [];
  return {
    generations,
    load: async () => [...generations],
    append: async (generation, count) => {
      if (generations.length !== count) return false;
      generations.push(generation);
      return true;
    },
  };
}

function requestFor(
  keys: { publicKey: KeyObject; privateKey: KeyObject },
  subject = 'admin',
): Uint8Array {
  const info = der.sequence(
    der.integer(0),
    der.sequence(der.setOf(der.sequence(der.oid('2.5.4.3'), der.utf8String(subject)))),
    new Uint8Array(keys.publicKey.export({ format: 'der', type: 'spki' })),
    der.element(0xa0),
  );
  return der.sequence(
    info,
    der.sequence(der.oid('1.2.840.10045.4.3.2')),
    der.bitString(sign('sha256', info, keys.privateKey)),
  );
}

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const request = requestFor(keys);
const identity = {
  spiffeId: parseSpiffeId('spiffe://mesh.example/app/1')!,
  dnsNames: ['one.mesh.example'],
};

async function authorityOf(store: AuthorityStore): ReturnType<typeof createCertificateAuthority> {
  return createCertificateAuthority({ trustDomain: 'mesh.example', store, verifier, plan });
}

function parseAll(authorities: readonly Uint8Array[]): readonly Certificate[] {
  return authorities.map((one) => {
    const parsed = parseCertificate(one);
    if (!parsed.ok) throw new Error(parsed.error.detail);
    return parsed.value;
  });
}

function bundleOf({ authorities, sequence }: TrustBundle): ReadonlyMap<string, SpiffeBundle> {
  const document = spiffeBundleDocument({
    authorities: parseAll(authorities),
    sequence,
    refreshHintMs: 300_000,
  });
  const bundle = parseSpiffeBundle('mesh.example', JSON.parse(JSON.stringify(document)));
  return new Map(bundle.ok ? [['mesh.example', bundle.value]] : []);
}

describe('a leaf', () => {
  test('is an SVID that says the verified identity and nothing of the request', async () => {
    const authority = await authorityOf(memoryStore());
    expect(await authority.rotate(start)).toBe(true);
    const issued = await authority.issue({ identity, request, at: start, lifetimeMs: hour });
    if (!issued.ok) throw new Error(issued.error.detail);
    const leaf = parseCertificate(issued.value.chain[0]!);
    if (!leaf.ok) throw new Error(leaf.error.detail);
    expect(leaf.value.subject.isEmpty).toBe(true);
    expect(leaf.value.serialHex).toBe(issued.value.serialHex);
    expect(leaf.value.subjectAltNames).toEqual([
      { kind: 'uri', value: 'spiffe://mesh.example/app/1' },
      { kind: 'dns', value: 'one.mesh.example' },
    ]);
    expect(leaf.value.notAfter - leaf.value.notBefore).toBe(hour);
    expect(leaf.value.notBefore).toBe(start - clockSkewMs);
    const who = verifySvid(
      {
        leaf: leaf.value,
        intermediates: [],
        bundles: bundleOf(authority.bundle(start)),
        at: start,
        purpose: usageOid.clientAuth,
      },
      verifier,
    );
    expect(who.ok && who.value.id.path).toBe('/app/1');
  });

  test.each([
    ['lifetime', { lifetimeMs: leafLifetimeMsMax + 1 }],
    ['lifetime', { lifetimeMs: 1_000 }],
    ['lifetime', { lifetimeMs: Number.NaN }],
    ['bad-identity', { identity: { ...identity, spiffeId: parseSpiffeId('spiffe://other/app')! } }],
    [
      'bad-identity',
      { identity: { ...identity, spiffeId: parseSpiffeId('spiffe://mesh.example')! } },
    ],
    ['bad-identity', { identity: { ...identity, dnsNames: ['*.mesh.example'] } }],
    ['bad-request', { request: request.subarray(1) }],
    [
      'bad-request',
      { request: request.map((octet, i) => (i === request.length - 1 ? octet ^ 1 : octet)) },
    ],
    ['weak-key', { request: requestFor(generateKeyPairSync('ec', { namedCurve: 'P-521' })) }],
    ['weak-key', { request: requestFor(generateKeyPairSync('rsa', { modulusLength: 2_048 })) }],
  ])('is refused as %s', async (code, change) => {
    const authority = await authorityOf(memoryStore());
    await authority.rotate(start);
    const issued = await authority.issue({
      identity,
      request,
      at: start,
      lifetimeMs: hour,
      ...change,
    });
    expect(issued).toMatchObject({ ok: false, error: { code } });
  });

  test('cannot be had with the key of somebody else', async () => {
    const authority = await authorityOf(memoryStore());
    await authority.rotate(start);
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const stolen = requestFor({ publicKey: keys.publicKey, privateKey: other.privateKey });
    const issued = await authority.issue({
      identity,
      request: stolen,
      at: start,
      lifetimeMs: hour,
    });
    expect(issued).toMatchObject({ error: { code: 'bad-request' } });
  });

  test('needs an authority', async () => {
    const authority = await authorityOf(memoryStore());
    const issued = await authority.issue({ identity, request, at: start, lifetimeMs: hour });
    expect(issued).toMatchObject({ error: { code: 'no-signer' } });
  });
});

describe('rotation', () => {
  test('no leaf is ever outside of a bundle that a peer fetched before the overlap ended', async () => {
    const authority = await authorityOf(memoryStore());
    const fetched: { at: number; authorities: readonly Uint8Array[] }[] = [];
    const sequences: number[] = [];
    for (let at = start; at < start + 500 * hour; at += 6 * hour) {
      await authority.rotate(at);
      const { authorities, sequence } = authority.bundle(at);
      expect(authorities.length).toBeLessThanOrEqual(2);
      fetched.push({ at, authorities });
      sequences.push(sequence);
      const issued = await authority.issue({ identity, request, at, lifetimeMs: hour });
      if (!issued.ok) throw new Error(issued.error.detail);
      const leaf = parseCertificate(issued.value.chain[0]!);
      if (!leaf.ok) throw new Error(leaf.error.detail);
      // A peer that fetches the bundle once in 18 hours, and one that has it from this moment.
      const slow = fetched.findLast((one) => one.at <= Math.max(start, at - 18 * hour))!;
      for (const bundle of [slow, fetched.at(-1)!]) {
        const anchors = parseAll(bundle.authorities);
        const path = verifyPath(
          {
            leaf: leaf.value,
            intermediates: [],
            anchors,
            at,
            profile: profiles.mesh,
            purposes: [usageOid.serverAuth],
            peerNames: [{ kind: 'dns', value: 'one.mesh.example' }],
          },
          verifier,
        );
        expect(path.ok).toBe(true);
      }
    }
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(new Set(sequences).size).toBeGreaterThan(5);
  });

  test('the old authority is trusted until its last leaf is over, and not longer', async () => {
    const store = memoryStore();
    const authority = await authorityOf(store);
    await authority.rotate(start);
    const half = start + 120 * hour;
    expect(await authority.rotate(half)).toBe(true);
    expect(await authority.rotate(half)).toBe(false);
    const signsFrom = store.generations[1]!.signsFrom;
    expect(signsFrom).toBe(half + 24 * hour);
    expect(authority.bundle(signsFrom + hour + clockSkewMs).authorities).toHaveLength(2);
    expect(authority.bundle(signsFrom + hour + clockSkewMs + 1).authorities).toHaveLength(1);
  });

  test('two processes that share a store agree on one generation', async () => {
    const store = memoryStore();
    const [one, two] = [await authorityOf(store), await authorityOf(store)];
    const made = await Promise.all([one.rotate(start), two.rotate(start)]);
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(store.generations).toHaveLength(1);
    expect(one.bundle(start)).toEqual(two.bundle(start));
  });

  test('a stored generation signs again after a restart, and its key does not print', async () => {
    const store = memoryStore();
    await (await authorityOf(store)).rotate(start);
    const again = await authorityOf(store);
    expect((await again.issue({ identity, request, at: start, lifetimeMs: hour })).ok).toBe(true);
    expect(JSON.stringify(store.generations)).toContain('[secret]');
    expect(() => createPrivateKey(String(store.generations[0]!.privateKey))).toThrow();
  });
});

describe('on a wire', () => {
  const pem = (bytes: Uint8Array): string => writePem({ label: 'CERTIFICATE', bytes });

  /** What a peer is by the certificate that it showed in a TLS 1.3 handshake. */
  function whoIs(socket: tls.TLSSocket, bundle: TrustBundle, purpose: string): string {
    const shown = parseCertificate(new Uint8Array(socket.getPeerCertificate().raw));
    if (!shown.ok) return shown.error.detail;
    const who = verifySvid(
      { leaf: shown.value, intermediates: [], bundles: bundleOf(bundle), at: start, purpose },
      verifier,
    );
    return who.ok ? who.value.id.uri : who.error.code;
  }

  test('two peers with leaves know each other after one handshake', async () => {
    const authority = await authorityOf(memoryStore());
    await authority.rotate(start);
    const bundle = authority.bundle(start);
    const peers = await Promise.all(
      ['one', 'two'].map(async (name) => {
        const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
        const issued = await authority.issue({
          identity: { spiffeId: parseSpiffeId(`spiffe://mesh.example/${name}`)!, dnsNames: [] },
          request: requestFor(own),
          at: start,
          lifetimeMs: hour,
        });
        if (!issued.ok) throw new Error(issued.error.detail);
        const key = own.privateKey.export({ format: 'pem', type: 'pkcs8' });
        return { key, cert: issued.value.chain.map(pem).join(''), minVersion: 'TLSv1.3' as const };
      }),
    );
    const [one, two] = peers;
    // The leaves are long over by now: the product's verifier, told the time, judges in Node's place.
    const gate = { requestCert: true, rejectUnauthorized: false } as const;
    const server = tls.createServer({ ...one!, ...gate });
    const asked = new Promise<string>((resolve) => {
      server.on('secureConnection', (socket) =>
        resolve(whoIs(socket, bundle, usageOid.clientAuth)),
      );
    });
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const client = tls.connect({ port, host: '127.0.0.1', ...two!, ...gate });
    const shown = await new Promise<string>((resolve, reject) => {
      client.on('secureConnect', () => resolve(whoIs(client, bundle, usageOid.serverAuth)));
      client.on('error', reject);
    });
    expect([await asked, shown]).toEqual([
      'spiffe://mesh.example/two',
      'spiffe://mesh.example/one',
    ]);
    client.destroy();
    server.close();
  });
});

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  altNames,
  authority,
  dstackValue,
  extension,
  type Issued,
  keyOf,
  leaf,
  pkiNow,
  testKey,
  verifier,
} from '../../../../../test/fakes/pki.ts';
import { equalBytes, toBase64, toBase64Url } from '../../base/index.ts';
import {
  type Certificate,
  dstackOid,
  parseCertificate,
  parseSpiffeBundle,
  parseSpiffeId,
  type SpiffeBundle,
  spiffeBundleDocument,
  usageOid,
  verifyKmsIdentity,
  verifySvid,
} from './index.ts';

function parse(issued: Issued): Certificate {
  const result = parseCertificate(issued.der);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

describe('a SPIFFE ID', () => {
  test.each([
    ['spiffe://a.example/b/c', { trustDomain: 'a.example', path: '/b/c' }],
    ['spiffe://a.example', { trustDomain: 'a.example', path: '' }],
    ['spiffe://a_b-c.1/X.Y_z-0', { trustDomain: 'a_b-c.1', path: '/X.Y_z-0' }],
  ])('%s is read', (uri, expected) => {
    expect(parseSpiffeId(uri)).toEqual({ ...expected, uri });
  });

  test.each([
    '',
    'spiffe://',
    'spiffe:///a',
    'SPIFFE://a.example/b',
    'https://a.example/b',
    'spiffe://A.example/b',
    'spiffe://a.example/',
    'spiffe://a.example/b/',
    'spiffe://a.example//b',
    'spiffe://a.example/./b',
    'spiffe://a.example/../b',
    'spiffe://a.example/b/..',
    'spiffe://a.example:80/b',
    'spiffe://u@a.example/b',
    'spiffe://a.example/b?c',
    'spiffe://a.example/b#c',
    'spiffe://a.example/%62',
    'spiffe://a.example/b c',
    'spiffe://a.example/ü',
    'spiffe://a.example/b\n',
    `spiffe://${'a'.repeat(256)}/b`,
    `spiffe://a.example/${'b'.repeat(2_048)}`,
  ])('%j is refused', (uri) => {
    expect(parseSpiffeId(uri)).toBeUndefined();
  });
});

function jwkOf(issued: Issued, point: Issued = issued): Record<string, unknown> {
  const octets = point.key.spki.subarray(-64);
  return {
    use: 'x509-svid',
    kty: 'EC',
    crv: 'P-256',
    x: toBase64Url(octets.subarray(0, 32)),
    y: toBase64Url(octets.subarray(32)),
    x5c: [toBase64(issued.der)],
  };
}

function bundleOf(trustDomain: string, ...authorities: readonly Issued[]): SpiffeBundle {
  const bundle = parseSpiffeBundle(trustDomain, { keys: authorities.map((one) => jwkOf(one)) });
  if (!bundle.ok) throw new Error(bundle.error.detail);
  return bundle.value;
}

describe('a bundle', () => {
  const root = authority('root');

  test('gives the authorities of its domain, its sequence and its hint', () => {
    const bundle = parseSpiffeBundle('a.example', {
      keys: [jwkOf(root), { use: 'jwt-svid', kid: 'x' }],
      spiffe_sequence: 3,
      spiffe_refresh_hint: 300,
    });
    expect(bundle.ok && bundle.value).toMatchObject({
      trustDomain: 'a.example',
      sequence: 3,
      refreshHintMs: 300_000,
    });
    expect(
      bundle.ok && bundle.value.authorities.map((one) => equalBytes(one.bytes, root.der)),
    ).toEqual([true]);
  });

  test('written out is read back, whatever the kind of key', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const ed = generateKeyPairSync('ed25519');
    const keys = [testKey('P-384'), keyOf(rsa.privateKey, rsa.publicKey)];
    const plain = keys.map((key) => parse(authority('x', { key, issuer: root })));
    const edwards = keyOf(ed.privateKey, ed.publicKey);
    const authorities = [...plain, parse(authority('y', { key: edwards, issuer: root }))];
    const bundle = { authorities, sequence: 9, refreshHintMs: 60_000 };
    const text = JSON.stringify(spiffeBundleDocument(bundle));
    expect(parseSpiffeBundle('a.example', JSON.parse(text))).toEqual({
      ok: true,
      value: { trustDomain: 'a.example', ...bundle },
    });
  });

  test.each([
    ['no keys', {}],
    ['keys that are no array', { keys: {} }],
    ['a key that is none', { keys: [1] }],
    ['no certificate', { keys: [{ use: 'x509-svid' }] }],
    [
      'two certificates',
      { keys: [{ ...jwkOf(root), x5c: [toBase64(root.der), toBase64(root.der)] }] },
    ],
    ['the key of another certificate', { keys: [jwkOf(root, authority('root'))] }],
    ['a sequence that is no number', { keys: [], spiffe_sequence: '1' }],
    ['a negative hint', { keys: [], spiffe_refresh_hint: -1 }],
    ['too many keys', { keys: Array.from({ length: 257 }, () => ({})) }],
  ])('with %s is refused', (_, document) => {
    expect(parseSpiffeBundle('a.example', document).ok).toBe(false);
  });
});

describe('an SVID', () => {
  const home = authority('home');
  const away = authority('away');
  const bundles = new Map([
    ['home.example', bundleOf('home.example', home)],
    ['away.example', bundleOf('away.example', away)],
  ]);

  function who(end: Issued, intermediates: readonly Issued[] = [], at: number = pkiNow): string {
    const result = verifySvid(
      {
        leaf: parse(end),
        intermediates: intermediates.map(parse),
        bundles,
        at,
        purpose: usageOid.clientAuth,
      },
      verifier,
    );
    return result.ok ? result.value.id.uri : result.error.code;
  }

  test('is who its one URI says, under an authority of that domain', () => {
    expect(who(leaf(['uri:spiffe://home.example/a'], { issuer: home }))).toBe(
      'spiffe://home.example/a',
    );
    expect(who(leaf(['dns:b.example', 'uri:spiffe://home.example/a'], { issuer: home }))).toBe(
      'spiffe://home.example/a',
    );
  });

  test('of one domain is never vouched for by the authority of another', () => {
    expect(who(leaf(['uri:spiffe://home.example/a'], { issuer: away }))).toBe('no-path');
    expect(who(leaf(['uri:spiffe://third.example/a'], { issuer: home }))).toBe('no-path');
    const strange = authority('strange', {
      issuer: home,
      extensions: [altNames(['uri:spiffe://away.example'])],
    });
    const end = leaf(['uri:spiffe://home.example/a'], { issuer: strange });
    expect(who(end, [strange])).toBe('wrong-identity');
  });

  test.each([
    [[]],
    [['dns:a.example']],
    [['uri:spiffe://home.example']],
    [['uri:spiffe://home.example/a', 'uri:spiffe://home.example/b']],
    [['uri:spiffe://home.example/a', 'uri:https://b.example/']],
    [['uri:https://home.example/a']],
  ])('needs exactly one URI with a path, not %j', (names) => {
    expect(who(leaf(names, { issuer: home }))).toBe('wrong-identity');
  });

  test('is over when it is over, and with an empty bundle', () => {
    const end = leaf(['uri:spiffe://home.example/a'], { issuer: home });
    expect(who(end, [], pkiNow + 2 * 86_400_000)).toBe('expired');
    const revoked = verifySvid(
      {
        leaf: parse(end),
        intermediates: [],
        bundles: new Map([['home.example', bundleOf('home.example')]]),
        at: pkiNow,
        purpose: usageOid.clientAuth,
      },
      verifier,
    );
    expect(revoked).toMatchObject({ error: { code: 'no-path' } });
  });
});

describe('a certificate of the dstack KMS', () => {
  const root = authority('Dstack KMS CA', { pathLength: 1 });
  const appId = new Uint8Array(20).fill(7);

  function claims(id: Uint8Array, usage: string): Uint8Array[] {
    return [
      extension(dstackOid.appId, dstackValue(id)),
      extension(dstackOid.specialUsage, dstackValue(usage)),
    ];
  }

  function who(options: {
    readonly ca?: readonly Uint8Array[];
    readonly end?: readonly Uint8Array[];
    readonly chain?: (ca: Issued, end: Issued) => readonly Issued[];
  }): string {
    const ca = authority('Dstack App CA', {
      issuer: root,
      pathLength: 0,
      extensions: options.ca ?? claims(appId, 'app:ca'),
    });
    const end = leaf(['dns:svc'], {
      issuer: ca,
      extensions: options.end ?? claims(appId, 'app:custom'),
    });
    const result = verifyKmsIdentity(
      {
        leaf: parse(end),
        intermediates: (options.chain?.(ca, end) ?? [ca, root]).map(parse),
        roots: [parse(root)],
        at: pkiNow,
        purpose: usageOid.serverAuth,
      },
      verifier,
    );
    return result.ok ? result.value.appId : result.error.code;
  }

  test('names the app that leaf and app authority agree on', () => {
    expect(who({})).toBe('07'.repeat(20));
  });

  test('is refused where the two disagree, or one is silent', () => {
    expect(who({ end: claims(new Uint8Array(20).fill(8), 'app:custom') })).toBe('wrong-identity');
    expect(who({ ca: claims(new Uint8Array(20).fill(8), 'app:ca') })).toBe('wrong-identity');
    expect(who({ end: [] })).toBe('wrong-identity');
    expect(who({ ca: [] })).toBe('wrong-identity');
    expect(who({ end: claims(appId.subarray(1), 'app:custom') })).toBe('wrong-identity');
    expect(who({ end: [extension(dstackOid.appId, appId)] })).toBe('wrong-identity');
  });

  test('is refused for any usage but that of an app', () => {
    expect(who({ end: claims(appId, 'kms:rpc') })).toBe('wrong-identity');
    expect(who({ end: claims(appId, 'app:ca') })).toBe('wrong-identity');
    expect(who({ ca: claims(appId, 'app:custom') })).toBe('wrong-identity');
  });

  test('is refused with an authority more than the KMS makes', () => {
    const own = authority('Dstack App CA', {
      issuer: root,
      pathLength: 0,
      extensions: claims(appId, 'app:ca'),
    });
    const again = authority('Dstack App CA', {
      issuer: own,
      extensions: claims(appId, 'app:ca'),
    });
    const end = leaf(['dns:svc'], { issuer: again, extensions: claims(appId, 'app:custom') });
    const result = verifyKmsIdentity(
      {
        leaf: parse(end),
        intermediates: [parse(own), parse(again)],
        roots: [parse(root)],
        at: pkiNow,
        purpose: usageOid.serverAuth,
      },
      verifier,
    );
    expect(result).toMatchObject({ error: { code: 'wrong-identity' } });
  });

  test('is refused when the root issued it itself, or the root is not the pinned one', () => {
    const direct = leaf(['dns:svc'], { issuer: root, extensions: claims(appId, 'app:custom') });
    const pinned = [parse(authority('Dstack KMS CA', { pathLength: 1 }))];
    const input = { intermediates: [], at: pkiNow, purpose: usageOid.serverAuth };
    expect(
      verifyKmsIdentity({ ...input, leaf: parse(direct), roots: [parse(root)] }, verifier),
    ).toMatchObject({ error: { code: 'wrong-identity' } });
    const ca = authority('Dstack App CA', {
      issuer: root,
      pathLength: 0,
      extensions: claims(appId, 'app:ca'),
    });
    const end = leaf(['dns:svc'], { issuer: ca, extensions: claims(appId, 'app:custom') });
    expect(
      verifyKmsIdentity(
        { ...input, leaf: parse(end), intermediates: [parse(ca), parse(root)], roots: pinned },
        verifier,
      ).ok,
    ).toBe(false);
  });
});

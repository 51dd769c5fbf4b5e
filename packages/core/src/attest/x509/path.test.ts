import { describe, expect, test } from 'vitest';
import {
  altNames,
  authority,
  basicConstraints,
  extendedKeyUsage,
  extension,
  type Issued,
  type IssueOptions,
  keyUsage,
  leaf,
  nameConstraints,
  nameDer,
  pkiNow,
  testKey,
  verifier,
} from '../../../../../test/fakes/pki.ts';
import { der } from '../../base/der/index.ts';
import {
  type Certificate,
  extensionOid,
  type PathInput,
  type PeerName,
  parseCertificate,
  profiles,
  usageOid,
  verifyPath,
  x509Limits,
} from './index.ts';

function parse(issued: Issued): Certificate {
  const result = parseCertificate(issued.der);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

function verdict(
  chain: { leaf: Issued; intermediates?: readonly Issued[]; anchors: readonly Issued[] },
  query: Partial<PathInput> = {},
): string {
  const result = verifyPath(
    {
      leaf: parse(chain.leaf),
      intermediates: (chain.intermediates ?? []).map(parse),
      anchors: chain.anchors.map(parse),
      at: pkiNow,
      profile: profiles.mesh,
      purposes: [usageOid.serverAuth],
      peerNames: [],
      ...query,
    },
    verifier,
  );
  return result.ok ? `ok ${result.value.length}` : result.error.code;
}

const dns = (value: string): PeerName => ({ kind: 'dns', value });
const root = authority('root');

function underRoot(names: readonly string[], options: IssueOptions = {}): Issued {
  return leaf(names, { issuer: root, ...options });
}

describe('a path', () => {
  test('leads from the leaf over intermediates in any order to an anchor', () => {
    const one = authority('one', { issuer: root });
    const two = authority('two', { issuer: one });
    const end = leaf(['dns:a.example'], { issuer: two });
    expect(verdict({ leaf: end, intermediates: [one, two], anchors: [root] })).toBe('ok 4');
    expect(verdict({ leaf: end, intermediates: [two, one], anchors: [root] })).toBe('ok 4');
    expect(verdict({ leaf: end, intermediates: [two], anchors: [one] })).toBe('ok 3');
    expect(verdict({ leaf: end, intermediates: [one], anchors: [root] })).toBe('no-path');
    expect(verdict({ leaf: end, intermediates: [root, one, two], anchors: [] })).toBe('no-path');
  });

  test('has an issuer: a leaf that is itself trusted is none', () => {
    const own = authority('own');
    const rfc = { profile: profiles.rfc5280 };
    expect(verdict({ leaf: own, anchors: [own] }, rfc)).toBe('no-path');
  });

  test('is not forged by an authority of the same name with another key', () => {
    const forger = authority('root');
    const end = leaf(['dns:a.example'], { issuer: forger });
    expect(verdict({ leaf: end, anchors: [root] })).toBe('bad-signature');
    expect(verdict({ leaf: end, intermediates: [forger], anchors: [root] })).toBe('bad-signature');
  });

  test('survives a key identifier that is only a bad hint', () => {
    const again = authority('root', { key: root.key, fields: {} });
    const relabelled = { ...root.key, identifier: Uint8Array.of(1, 2, 3) };
    const end = leaf(['dns:a.example'], { issuer: { name: 'root', key: relabelled } });
    expect(verdict({ leaf: end, anchors: [again] })).toBe('ok 2');
  });

  test('is found past a second authority of the same name that constrains too much', () => {
    const key = testKey();
    const narrow = authority('shared', {
      issuer: root,
      key,
      extensions: [nameConstraints(['dns:other.example'])],
    });
    const wide = authority('shared', { issuer: root, key });
    const end = leaf(['dns:a.example'], { issuer: wide });
    expect(verdict({ leaf: end, intermediates: [narrow, wide], anchors: [root] })).toBe('ok 3');
    expect(verdict({ leaf: end, intermediates: [narrow], anchors: [root] })).toBe(
      'name-constraint',
    );
  });

  test('does not loop between authorities that certify each other', () => {
    const [a, b] = [testKey(), testKey()];
    const ab = authority('a', { key: a, issuer: { name: 'b', key: b } });
    const ba = authority('b', { key: b, issuer: { name: 'a', key: a } });
    const end = leaf(['dns:a.example'], { issuer: { name: 'a', key: a } });
    expect(
      verdict({ leaf: end, intermediates: [ab, ba], anchors: [root] }, { intermediatesMax: 255 }),
    ).toBe('no-path');
  });

  test('is searched within a budget of signature checks', () => {
    const twins = Array.from({ length: 100 }, () => authority('twin', { issuer: root }));
    const end = leaf(['dns:a.example'], { issuer: { name: 'twin', key: testKey() } });
    let checks = 0;
    const result = verifyPath(
      {
        leaf: parse(end),
        intermediates: twins.map(parse),
        anchors: [parse(root)],
        at: pkiNow,
        profile: profiles.mesh,
        purposes: [],
        peerNames: [],
      },
      {
        verify: (input) => {
          checks += 1;
          return verifier.verify(input);
        },
      },
    );
    expect(result).toMatchObject({ error: { code: 'too-complex' } });
    expect(checks).toBeLessThanOrEqual(x509Limits.signatureChecksMax);
  });

  test('takes no more intermediates than it may', () => {
    const one = authority('one', { issuer: root });
    const end = leaf(['dns:a.example'], { issuer: one });
    const chain = { leaf: end, intermediates: [one], anchors: [root] };
    expect(verdict(chain, { intermediatesMax: 1 })).toBe('ok 3');
    expect(verdict(chain, { intermediatesMax: 0 })).toBe('no-path');
    const rolled = authority('root', { issuer: root });
    const free = { leaf: leaf([], { issuer: rolled }), intermediates: [rolled], anchors: [root] };
    expect(verdict(free, { intermediatesMax: 0 })).toBe('ok 3');
    const many = Array.from({ length: 129 }, () => one);
    expect(verdict({ ...chain, intermediates: many })).toBe('too-complex');
  });

  test('keeps to path lengths, in which self-issued authorities do not count', () => {
    const short = authority('short', { pathLength: 0 });
    const below = authority('below', { issuer: short });
    const over = { name: 'short', key: testKey() };
    const rollover = authority('short', { issuer: short, key: over.key });
    const end = leaf(['dns:a.example'], { issuer: below });
    const rolled = leaf(['dns:a.example'], { issuer: over });
    expect(verdict({ leaf: end, intermediates: [below], anchors: [short] })).toBe('path-too-long');
    expect(verdict({ leaf: rolled, intermediates: [rollover], anchors: [short] })).toBe('ok 3');
  });

  test('is valid from the first to the last second of each certificate', () => {
    const first = der.time(pkiNow);
    const last = der.time(pkiNow + 10_000);
    const end = underRoot(['dns:a.example'], { fields: { validity: der.sequence(first, last) } });
    const at = (offset: number): string =>
      verdict({ leaf: end, anchors: [root] }, { at: pkiNow + offset });
    expect([at(-1), at(0), at(10_999), at(11_000)]).toEqual([
      'not-yet-valid',
      'ok 2',
      'ok 2',
      'expired',
    ]);
    const old = authority('root', {
      key: root.key,
      fields: { validity: der.sequence(der.time(0), der.time(1_000)) },
    });
    expect(verdict({ leaf: end, anchors: [old] })).toBe('expired');
  });
});

describe('the usage of a key', () => {
  test('is what the leaf allows and no authority excludes', () => {
    const server = authority('server', {
      issuer: root,
      extensions: [extendedKeyUsage(usageOid.serverAuth)],
    });
    const end = leaf(['dns:a.example'], { issuer: server });
    const chain = { leaf: end, intermediates: [server], anchors: [root] };
    expect(verdict(chain)).toBe('ok 3');
    expect(verdict(chain, { purposes: [usageOid.clientAuth] })).toBe('wrong-usage');
    expect(verdict({ leaf: underRoot([]), anchors: [root] }, { purposes: ['1.2.3'] })).toBe(
      'wrong-usage',
    );
  });

  test.each([
    ['no key usage at all', [basicConstraints(false)]],
    ['keyCertSign without cA', [keyUsage('digitalSignature', 'keyCertSign')]],
    ['cRLSign in a leaf', [keyUsage('digitalSignature', 'cRLSign')]],
    ['an authority as leaf', [basicConstraints(true), keyUsage('digitalSignature')]],
    [
      'name constraints of no authority',
      [keyUsage('digitalSignature'), nameConstraints(['dns:a'])],
    ],
  ])('in a mesh leaf is refused with %s', (_, extensions) => {
    const identifiers = [
      extension(
        extensionOid.authorityKeyIdentifier,
        der.sequence(der.implicit(0, der.octetString(root.key.identifier))),
      ),
      extension(extensionOid.subjectKeyIdentifier, der.octetString(Uint8Array.of(1))),
    ];
    const end = underRoot([], { fields: { extensions: [...identifiers, ...extensions] } });
    expect(verdict({ leaf: end, anchors: [root] })).toMatch(/^(outside-profile|wrong-usage)$/);
  });

  test('of an authority includes signing certificates', () => {
    const fields = (extensions: readonly Uint8Array[]): Issued =>
      authority('x', { issuer: root, fields: { extensions } });
    const aki = extension(
      extensionOid.authorityKeyIdentifier,
      der.sequence(der.implicit(0, der.octetString(root.key.identifier))),
    );
    const ski = extension(extensionOid.subjectKeyIdentifier, der.octetString(Uint8Array.of(1)));
    const cases = [
      fields([aki, ski, basicConstraints(true), keyUsage('cRLSign')]),
      fields([aki, ski, basicConstraints(true)]),
      fields([aki, ski, keyUsage('cRLSign')]),
      fields([aki, ski, basicConstraints(false), keyUsage('cRLSign')]),
    ];
    for (const ca of cases) {
      const end = leaf(['dns:a.example'], { issuer: ca });
      expect(verdict({ leaf: end, intermediates: [ca], anchors: [root] })).toBe('not-authority');
    }
  });
});

describe('critical extensions', () => {
  const unknown = extension('1.3.6.1.4.1.55738.1', der.nothing(), true);

  test('that nobody knows refuse the certificate wherever it stands', () => {
    const odd = authority('odd', { extensions: [unknown] });
    const inner = authority('inner', { issuer: root, extensions: [unknown] });
    expect(verdict({ leaf: underRoot([], { extensions: [unknown] }), anchors: [root] })).toBe(
      'unknown-critical',
    );
    expect(verdict({ leaf: leaf([], { issuer: odd }), anchors: [odd] })).toBe('unknown-critical');
    expect(
      verdict({ leaf: leaf([], { issuer: inner }), intermediates: [inner], anchors: [root] }),
    ).toBe('unknown-critical');
    expect(verdict({ leaf: underRoot([]), anchors: [odd, root] })).toBe('ok 2');
  });

  test('that ask for a policy are refused, since policies are not processed', () => {
    const policy = extension(
      extensionOid.policyConstraints,
      der.sequence(der.implicit(0, der.integer(0))),
      true,
    );
    const ca = authority('ca', { extensions: [policy] });
    expect(verdict({ leaf: leaf([], { issuer: ca }), anchors: [ca] })).toBe('unknown-critical');
  });

  test('have the criticality of the standard', () => {
    const soft = extension(
      extensionOid.policyConstraints,
      der.sequence(der.implicit(1, der.integer(0))),
    );
    const ca = authority('ca', { extensions: [soft] });
    expect(verdict({ leaf: leaf([], { issuer: ca }), anchors: [ca] })).toBe('outside-profile');
  });
});

describe('names', () => {
  test.each([
    ['dns:a.example', dns('a.example'), 'ok 2'],
    ['dns:A.Example', dns('a.eXample'), 'ok 2'],
    ['dns:*.example.com', dns('a.example.com'), 'ok 2'],
    ['dns:*.example.com', dns('a.b.example.com'), 'wrong-name'],
    ['dns:*.example.com', dns('example.com'), 'wrong-name'],
    ['dns:*.example.com', dns('*.example.com'), 'wrong-name'],
    ['dns:a.example', dns('a.example.'), 'wrong-name'],
    ['ip:10.0.0.1', { kind: 'ip', address: Uint8Array.of(10, 0, 0, 1) }, 'ok 2'],
    ['ip:10.0.0.1', { kind: 'ip', address: Uint8Array.of(10, 0, 0, 2) }, 'wrong-name'],
    ['ip:10.0.0.1', dns('10.0.0.1'), 'wrong-name'],
    ['email:a@b.example', { kind: 'email', value: 'a@B.example' }, 'ok 2'],
    ['email:a@b.example', { kind: 'email', value: 'A@b.example' }, 'wrong-name'],
    ['uri:spiffe://a/b', { kind: 'uri', value: 'spiffe://a/b' }, 'ok 2'],
    ['uri:spiffe://a/b', { kind: 'uri', value: 'spiffe://a/B' }, 'wrong-name'],
  ] satisfies [string, PeerName, string][])('%s for %j: %s', (name, wanted, expected) => {
    const end = underRoot([name]);
    expect(verdict({ leaf: end, anchors: [root] }, { peerNames: [wanted] })).toBe(expected);
  });

  test('are never taken from the common name', () => {
    const end = underRoot([], { fields: { subject: root.der.subarray(0, 0) } });
    expect(parseCertificate(end.der).ok).toBe(false);
    expect(verdict({ leaf: underRoot([]), anchors: [root] }, { peerNames: [dns('leaf')] })).toBe(
      'wrong-name',
    );
  });

  test('are needed in a critical extension where the subject is empty', () => {
    const empty = der.sequence();
    const soft = underRoot(['dns:a.example'], { fields: { subject: empty } });
    expect(verdict({ leaf: soft, anchors: [root] })).toBe('outside-profile');
    const none = underRoot([], { fields: { subject: empty } });
    expect(verdict({ leaf: none, anchors: [root] })).toBe('outside-profile');
    const hard = underRoot([], {
      fields: { subject: empty },
      extensions: [altNames(['dns:a.example'], true)],
    });
    expect(verdict({ leaf: hard, anchors: [root] })).toBe('ok 2');
  });
});

describe('the web profile', () => {
  function web(subject: Uint8Array, names: readonly string[]): string {
    const end = leaf(names, {
      issuer: root,
      fields: { subject },
    });
    return verdict({ leaf: end, anchors: [root] }, { profile: profiles.webpki });
  }

  test.each([
    ['a.example', ['dns:a.example'], 'ok 2'],
    ['A.example', ['dns:a.example'], 'outside-profile'],
    ['b.example', ['dns:a.example'], 'outside-profile'],
    ['a.example', ['dns:*.a.example'], 'ok 2'],
    ['a.example', ['dns:localhost'], 'ok 2'],
    ['a.example', ['ip:10.0.0.1'], 'ok 2'],
    ['10.0.0.1', ['ip:10.0.0.1'], 'ok 2'],
    ['10.0.0.01', ['ip:10.0.0.1'], 'outside-profile'],
    ['0x0a000001', ['ip:10.0.0.1'], 'outside-profile'],
    ['10.0.0.1', ['dns:a.example'], 'outside-profile'],
    ['::1', ['ip:0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1'], 'ok 2'],
    ['0::1', ['ip:0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1'], 'outside-profile'],
  ])('wants the common name %s among %j: %s', (subject, names, expected) => {
    expect(web(nameDer(subject), names)).toBe(expected);
  });

  test('wants one plain usage, and no authority for a leaf', () => {
    const any = leaf(['dns:leaf.example'], { issuer: root, extensions: [] });
    expect(verdict({ leaf: any, anchors: [root] }, { profile: profiles.webpki })).toBe(
      'outside-profile',
    );
    const ca = authority('ca', { issuer: root });
    expect(verdict({ leaf: ca, anchors: [root] }, { profile: profiles.webpki })).toBe(
      'outside-profile',
    );
    expect(verdict({ leaf: ca, anchors: [root] }, { profile: profiles.rfc5280 })).toBe('ok 2');
  });
});

describe('name constraints', () => {
  function constrained(
    names: readonly string[],
    permitted: readonly string[],
    excluded: readonly string[] = [],
  ): string {
    const ca = authority('ca', {
      issuer: root,
      extensions: [nameConstraints(permitted, excluded)],
    });
    return verdict({
      leaf: leaf(names, { issuer: ca }),
      intermediates: [ca],
      anchors: [root],
    });
  }

  test.each([
    [['dns:a.example'], ['dns:example'], [], 'ok 3'],
    [['dns:example'], ['dns:example'], [], 'ok 3'],
    [['dns:badexample'], ['dns:example'], [], 'name-constraint'],
    [['dns:a.example', 'dns:b.other'], ['dns:example'], [], 'name-constraint'],
    [['dns:a.example'], ['dns:'], [], 'ok 3'],
    [['dns:a.example'], [], ['dns:'], 'name-constraint'],
    [['dns:*.a.example'], ['dns:a.example'], [], 'ok 3'],
    [['dns:*.a.example'], ['dns:b.a.example'], [], 'name-constraint'],
    [['dns:*.a.example'], [], ['dns:b.a.example'], 'name-constraint'],
    [['dns:*.a.example'], [], ['dns:c.b.a.example'], 'ok 3'],
    [['ip:10.1.2.3'], ['ip:10.0.0.0.255.0.0.0'], [], 'ok 3'],
    [['ip:11.1.2.3'], ['ip:10.0.0.0.255.0.0.0'], [], 'name-constraint'],
    [['ip:10.1.2.3'], [], ['ip:10.0.0.0.255.0.0.0'], 'name-constraint'],
    [['ip:10.1.2.3'], ['dns:example'], [], 'ok 3'],
    [['email:a@b.example'], ['email:b.example'], [], 'ok 3'],
    [['email:a@c.b.example'], ['email:b.example'], [], 'name-constraint'],
    [['email:a@c.b.example'], ['email:.b.example'], [], 'ok 3'],
    [['email:a@b.example'], ['email:.b.example'], [], 'name-constraint'],
    [['email:a@b.example'], ['email:a@B.example'], [], 'ok 3'],
    [['email:a@b.example'], [], ['email:b.example'], 'name-constraint'],
    [['uri:spiffe://b.example/x'], ['uri:b.example'], [], 'ok 3'],
    [['uri:https://u@b.example:1/x'], ['uri:b.example'], [], 'ok 3'],
    [['uri:https://c.b.example/x'], ['uri:.b.example'], [], 'ok 3'],
    [['uri:https://b.example/x'], ['uri:.b.example'], [], 'name-constraint'],
    [['uri:https://10.0.0.1/x'], ['uri:b.example'], [], 'name-constraint'],
    [['uri:https://10.0.0.1/x'], [], ['uri:b.example'], 'name-constraint'],
    [['uri:urn:x'], [], ['uri:b.example'], 'name-constraint'],
    [[], ['dn:leaf'], [], 'ok 3'],
    [[], ['dn:LEAF '], [], 'ok 3'],
    [[], ['dn:other'], [], 'name-constraint'],
    [[], [], ['dn:leaf'], 'name-constraint'],
    [['dn:x'], ['dn:leaf'], [], 'name-constraint'],
  ])('%j under permitted %j, excluded %j: %s', (names, permitted, excluded, expected) => {
    expect(constrained(names, permitted, excluded)).toBe(expected);
  });

  test('of an authority further up cannot be widened further down', () => {
    const upper = authority('upper', { extensions: [nameConstraints(['dns:a.example'])] });
    const lower = authority('lower', {
      issuer: upper,
      extensions: [nameConstraints(['dns:example'])],
    });
    const chain = (name: string): string =>
      verdict({
        leaf: leaf([name], { issuer: lower }),
        intermediates: [lower],
        anchors: [upper],
      });
    expect(chain('dns:x.a.example')).toBe('ok 3');
    expect(chain('dns:b.example')).toBe('name-constraint');
  });

  test('bind authorities below too, except self-issued ones', () => {
    const top = authority('top', { extensions: [nameConstraints([], ['dns:evil.example'])] });
    const evil = [altNames(['dns:evil.example'])];
    const below = authority('below', { issuer: top, extensions: evil });
    const rolled = authority('top', { issuer: top, extensions: evil });
    const chain = (ca: Issued): string =>
      verdict({
        leaf: leaf(['dns:a.example'], { issuer: ca }),
        intermediates: [ca],
        anchors: [top],
      });
    expect(chain(below)).toBe('name-constraint');
    expect(chain(rolled)).toBe('ok 3');
  });

  test('of many names against many subtrees are cut off', () => {
    const subtrees = Array.from({ length: 1_000 }, (_, i) => `dns:n${i}.example`);
    const ca = authority('ca', { extensions: [nameConstraints(subtrees)] });
    const end = leaf(subtrees, { issuer: ca });
    expect(verdict({ leaf: end, anchors: [ca] })).toBe('too-complex');
  });
});

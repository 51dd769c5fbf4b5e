import { describe, expect, test } from 'vitest';
import {
  authority,
  extension,
  generalName,
  lastSerialNumber,
  leaf,
  type ListOptions,
  pkiNow,
  revocationList,
  testKey,
  verifier,
} from '../../../../../test/fakes/pki.ts';
import { der } from '../../base/der/index.ts';
import {
  extensionOid,
  parseCertificate,
  parseRevocationList,
  profiles,
  type RevocationList,
  verifyPath,
} from './index.ts';

const root = authority('root');
const end = leaf(['dns:a.example'], { issuer: root });
const serial = lastSerialNumber();

function list(options: ListOptions = {}, issuer = root): RevocationList {
  const parsed = parseRevocationList(revocationList(issuer, options));
  if (!parsed.ok) throw new Error(parsed.error.detail);
  return parsed.value;
}

function verdict(
  lists: readonly RevocationList[],
  mode: 'if-listed' | 'required',
  of = end,
): string {
  const [one, anchor] = [parseCertificate(of.der), parseCertificate(root.der)];
  if (!one.ok || !anchor.ok) throw new Error('test certificates');
  const path = verifyPath(
    {
      leaf: one.value,
      intermediates: [],
      anchors: [anchor.value],
      at: pkiNow,
      profile: profiles.mesh,
      purposes: [],
      peerNames: [],
      revocation: { lists, mode },
    },
    verifier,
  );
  return path.ok ? 'ok' : path.error.code;
}

const keyIdentifier = extension(
  extensionOid.authorityKeyIdentifier,
  der.sequence(der.implicit(0, der.octetString(root.key.identifier))),
);
const number = extension(extensionOid.crlNumber, der.integer(7));

function scope(...parts: readonly Uint8Array[]): Uint8Array {
  return extension(extensionOid.issuingDistributionPoint, der.sequence(...parts), true);
}

describe('a revocation list', () => {
  test('revokes the serial numbers on it, and no others', () => {
    expect(verdict([list({ serials: [serial] })], 'required')).toBe('revoked');
    expect(verdict([list({ serials: [serial + 1] })], 'required')).toBe('ok');
    expect(verdict([list()], 'required')).toBe('ok');
  });

  test('is needed only where the policy says so', () => {
    expect(verdict([], 'if-listed')).toBe('ok');
    expect(verdict([], 'required')).toBe('revocation-unknown');
    const other = list({ serials: [serial] }, authority('other'));
    expect(verdict([other], 'if-listed')).toBe('ok');
    expect(verdict([other], 'required')).toBe('revocation-unknown');
  });

  test('is needed where the certificate makes its place critical', () => {
    const point = der.sequence(
      der.sequence(
        der.explicit(0, der.implicit(0, der.sequence(generalName('uri:http://crl.example/')))),
      ),
    );
    const strict = leaf([], {
      issuer: root,
      extensions: [extension(extensionOid.crlDistributionPoints, point, true)],
    });
    expect(verdict([], 'if-listed', strict)).toBe('revocation-unknown');
    expect(verdict([list()], 'if-listed', strict)).toBe('ok');
  });

  test.each<[string, ListOptions]>([
    ['signed by another key', { signer: testKey() }],
    ['no longer current', { nextUpdate: pkiNow - 1_000 }],
    ['not yet current', { thisUpdate: pkiNow + 1_000 }],
    ['without an end', { nextUpdate: 'absent' }],
    ['without a number', { extensions: [keyIdentifier] }],
    ['without a key identifier', { extensions: [number] }],
    [
      'with a critical number',
      { extensions: [keyIdentifier, extension(extensionOid.crlNumber, der.integer(7), true)] },
    ],
    [
      'with an unknown critical extension',
      { extensions: [keyIdentifier, number, extension('1.2.3', der.nothing(), true)] },
    ],
    [
      'that is a delta',
      {
        extensions: [
          keyIdentifier,
          number,
          extension(extensionOid.deltaCrlIndicator, der.integer(1), true),
        ],
      },
    ],
    [
      'that is indirect',
      { extensions: [keyIdentifier, number, scope(der.implicit(4, der.boolean(true)))] },
    ],
    [
      'of some reasons',
      { extensions: [keyIdentifier, number, scope(der.implicit(3, der.namedBits(1)))] },
    ],
  ])('%s refuses what it covers', (_, options) => {
    expect(verdict([list(options)], 'if-listed')).toBe('bad-revocation-list');
  });

  test('of another key of the same authority says nothing about this key', () => {
    const before = authority('root');
    expect(verdict([list({ serials: [serial] }, before)], 'if-listed')).toBe('ok');
    expect(verdict([list({}, before), list({ serials: [serial] })], 'if-listed')).toBe('revoked');
  });

  test('covers the kind of certificate that its scope names', () => {
    const users = {
      extensions: [keyIdentifier, number, scope(der.implicit(1, der.boolean(true)))],
    };
    const cas = { extensions: [keyIdentifier, number, scope(der.implicit(2, der.boolean(true)))] };
    expect(verdict([list({ ...users, serials: [serial] })], 'if-listed')).toBe('revoked');
    expect(verdict([list({ ...cas, serials: [serial] })], 'if-listed')).toBe('ok');
    expect(verdict([list({ ...cas, serials: [serial] })], 'required')).toBe('revocation-unknown');
  });

  test('counts only from an authority that may sign lists', () => {
    const parsed = parseCertificate(root.der);
    if (!parsed.ok) throw new Error('root');
    const one = parseCertificate(end.der);
    if (!one.ok) throw new Error('leaf');
    const path = verifyPath(
      {
        leaf: one.value,
        intermediates: [],
        anchors: [{ ...parsed.value, keyUsage: new Set(['keyCertSign']) }],
        at: pkiNow,
        profile: profiles.mesh,
        purposes: [],
        peerNames: [],
        revocation: { lists: [list()], mode: 'if-listed' },
      },
      verifier,
    );
    expect(path).toMatchObject({ error: { code: 'bad-revocation-list' } });
  });
});

describe('the reader of lists', () => {
  function entries(...parts: readonly Uint8Array[]): string {
    const tbs = (version: Uint8Array): Uint8Array =>
      der.sequence(
        version,
        der.sequence(der.oid('1.2.840.10045.4.3.2')),
        der.sequence(),
        der.time(pkiNow),
        ...parts,
      );
    const parsed = parseRevocationList(
      der.sequence(
        tbs(der.integer(1)),
        der.sequence(der.oid('1.2.840.10045.4.3.2')),
        der.bitString(Uint8Array.of(1)),
      ),
    );
    return parsed.ok ? `ok ${parsed.value.revoked.size}` : parsed.error.detail;
  }
  const entry = (value: number, ...rest: readonly Uint8Array[]): Uint8Array =>
    der.sequence(der.integer(value), der.time(pkiNow), ...rest);
  const reason = (value: number): Uint8Array =>
    der.sequence(extension(extensionOid.reasonCode, der.element(10, Uint8Array.of(value))));

  test('takes entries with reasons and refuses ill-formed ones', () => {
    expect(entries()).toBe('ok 0');
    expect(entries(der.sequence(entry(1), entry(2, reason(1))))).toBe('ok 2');
    expect(entries(der.sequence())).toBe('empty list of entries');
    expect(entries(der.sequence(entry(1), entry(1)))).toBe('serial number twice');
    expect(entries(der.sequence(entry(1, reason(7))))).toBe('extension 2.5.29.21: unknown reason');
    expect(entries(der.sequence(entry(1, der.sequence())))).toBe('empty extensions');
  });
});

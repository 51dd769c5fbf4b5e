/** How patch levels are matched, and who may vouch for them. */
import { describe, expect, test } from 'vitest';
import { openCollateral, verifyIntelQuote } from '@postern/core/attest';
import type { IntelCollateralSource, Verification } from '@postern/core/attest';
import {
  createCollateral,
  createTdQuote,
  distinguishedName,
  issueCertificate,
  issueList,
  keyUsage,
  pckExtension,
  pemOf,
  serial,
  sgxOid,
  SigningKey,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import type {
  CertificateRequest,
  CollateralOptions,
  IntelPki,
  StatementDocument,
  TdOptions,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { anchors, dayMs, nowMs, simulator } from './simulated.ts';

const { pki } = simulator;
const times = { issuedAtMs: nowMs - dayMs, nextUpdateMs: nowMs + dayMs };
const reportData = new Uint8Array(64);
const context = { crypto: nodeCrypto, pins: anchors.intel };

function verify(
  source: IntelCollateralSource,
  options: Partial<TdOptions> = {},
  machine: IntelPki = pki,
): Verification {
  const quote = createTdQuote(machine, { reportData, ...options });
  return verifyIntelQuote(quote, {
    ...context,
    collateral: openCollateral(source, context),
    nowMs,
  });
}

function codes({ findings }: Verification): string[] {
  return findings.map(({ code }) => code);
}

interface Level {
  readonly tcb: {
    readonly sgxtcbcomponents: readonly { readonly svn: number }[];
    readonly tdxtcbcomponents: readonly { readonly svn: number }[];
    readonly pcesvn: number;
  };
}

/** Collateral whose only platform level is changed. */
function levels(
  change: (level: Level) => readonly object[],
  options: Partial<CollateralOptions> = {},
) {
  const editTcbInfo = (document: StatementDocument): StatementDocument => {
    const [level] = document['tcbLevels'] as readonly [Level];
    return { ...document, tcbLevels: change(level) };
  };
  return createCollateral(pki, { ...times, editTcbInfo, ...options });
}

function raised(list: readonly { readonly svn: number }[], at: number): readonly object[] {
  return list.map(({ svn }, index) => ({ svn: index === at ? svn + 1 : svn }));
}

const indexes = Array.from({ length: 16 }, (_, index) => index);

describe('a platform level', () => {
  test.each(indexes)('that wants more of SGX component %d than there is does not match', (at) => {
    const source = levels((level) => [
      { ...level, tcb: { ...level.tcb, sgxtcbcomponents: raised(level.tcb.sgxtcbcomponents, at) } },
    ]);
    expect(codes(verify(source))).toEqual(['tcb_no_matching_level']);
  });

  test.each(indexes)(
    'that wants more of TDX component %d matches only if the module has it',
    (at) => {
      const source = levels((level) => [
        {
          ...level,
          tcb: { ...level.tcb, tdxtcbcomponents: raised(level.tcb.tdxtcbcomponents, at) },
        },
      ]);
      const teeTcbSvn = Uint8Array.of(5, 1, 3, ...new Uint8Array(13));
      const edited = verify(source, { teeTcbSvn });
      // A versioned module is matched by its own identity, not by components 0 and 1.
      expect(codes(edited)).toEqual(at < 2 ? [] : ['tcb_no_matching_level']);
      const unversioned = verify(source, {
        teeTcbSvn: Uint8Array.of(5, 0, 3, ...new Uint8Array(13)),
      });
      expect(codes(unversioned)).toEqual(['tcb_no_matching_level']);
    },
  );

  test('that wants a newer provisioning enclave does not match', () => {
    const source = levels((level) => [
      { ...level, tcb: { ...level.tcb, pcesvn: level.tcb.pcesvn + 1 } },
    ]);
    expect(codes(verify(source))).toEqual(['tcb_no_matching_level']);
  });

  test('is the first of the list that matches', () => {
    const source = levels((level) => [
      { ...level, tcb: { ...level.tcb, pcesvn: 99 }, tcbStatus: 'UpToDate' },
      {
        ...level,
        tcb: { ...level.tcb, pcesvn: 5 },
        tcbStatus: 'SWHardeningNeeded',
        advisoryIDs: ['B', 'A'],
      },
      { ...level, tcb: { ...level.tcb, pcesvn: 1 }, tcbStatus: 'Revoked' },
    ]);
    expect(verify(source).claims?.tcb).toMatchObject({
      status: 'SWHardeningNeeded',
      advisories: ['A', 'B'],
    });
  });

  test('without a matching one, none is made up', () => {
    expect(codes(verify(levels(() => [])))).toEqual(['tcb_no_matching_level']);
  });
});

describe('the parts together', () => {
  const moduleOf = (
    document: StatementDocument,
    tcbStatus: string,
    isvsvn = 6,
  ): StatementDocument => {
    const [identity] = document['tdxModuleIdentities'] as readonly object[];
    const tcbLevels = [
      { tcb: { isvsvn }, tcbDate: '2025-01-01T00:00:00Z', tcbStatus, advisoryIDs: ['M'] },
    ];
    return { ...document, tdxModuleIdentities: [{ ...identity, tcbLevels }] };
  };
  const qeOf = (document: StatementDocument, tcbStatus: string): StatementDocument => ({
    ...document,
    tcbLevels: [
      { tcb: { isvsvn: 4 }, tcbDate: '2024-01-01T00:00:00Z', tcbStatus, advisoryIDs: ['Q'] },
    ],
  });

  test.each([
    ['UpToDate', 'UpToDate', 'UpToDate', 'UpToDate'],
    ['UpToDate', 'OutOfDate', 'UpToDate', 'OutOfDate'],
    ['UpToDate', 'UpToDate', 'OutOfDate', 'OutOfDate'],
    ['SWHardeningNeeded', 'OutOfDate', 'UpToDate', 'OutOfDate'],
    ['SWHardeningNeeded', 'UpToDate', 'UpToDate', 'SWHardeningNeeded'],
    ['ConfigurationNeeded', 'OutOfDate', 'UpToDate', 'OutOfDateConfigurationNeeded'],
    ['ConfigurationNeeded', 'UpToDate', 'OutOfDate', 'OutOfDateConfigurationNeeded'],
    ['ConfigurationAndSWHardeningNeeded', 'OutOfDate', 'UpToDate', 'OutOfDateConfigurationNeeded'],
    ['OutOfDateConfigurationNeeded', 'OutOfDate', 'UpToDate', 'OutOfDateConfigurationNeeded'],
    ['OutOfDate', 'UpToDate', 'UpToDate', 'OutOfDate'],
    ['UpToDate', 'Revoked', 'UpToDate', 'Revoked'],
    ['UpToDate', 'UpToDate', 'Revoked', 'Revoked'],
    ['Revoked', 'UpToDate', 'OutOfDate', 'Revoked'],
  ])('platform %s, module %s and QE %s are %s', (platform, module, qe, status) => {
    const source = createCollateral(pki, {
      ...times,
      editTcbInfo: (document) => {
        const [level] = document['tcbLevels'] as readonly object[];
        return moduleOf({ ...document, tcbLevels: [{ ...level, tcbStatus: platform }] }, module);
      },
      editQeIdentity: (document) => qeOf(document, qe),
    });
    expect(verify(source).claims?.tcb).toMatchObject({
      status,
      advisories: ['M', 'Q'],
      dateMs: Date.UTC(2024, 0, 1),
    });
  });

  test('a module below every listed version has no level', () => {
    const editTcbInfo = (document: StatementDocument): StatementDocument =>
      moduleOf(document, 'UpToDate', 7);
    const source = createCollateral(pki, { ...times, editTcbInfo });
    expect(codes(verify(source))).toEqual(['tcb_no_matching_level']);
  });

  test('an unknown status is malformed, not ignored', () => {
    const source = levels((level) => [{ ...level, tcbStatus: 'Fine' }]);
    expect(codes(verify(source))).toEqual(['collateral_malformed']);
  });
});

describe('identities', () => {
  test.each([
    ['mrsigner', 'ab'.repeat(32)],
    ['isvprodid', 3],
    ['miscselect', '00000001'],
    ['attributes', '31000000000000000000000000000000'],
  ])('a quoting enclave with another %s is refused', (field, value) => {
    const editQeIdentity = (document: StatementDocument): StatementDocument => ({
      ...document,
      [field]: value,
    });
    const source = createCollateral(pki, { ...times, editQeIdentity });
    expect(codes(verify(source))).toEqual(['qe_identity_mismatch']);
  });

  test('a bit that the mask leaves out does not matter', () => {
    const editQeIdentity = (document: StatementDocument): StatementDocument => ({
      ...document,
      attributes: '15000000000000000000000000000000',
    });
    expect(codes(verify(createCollateral(pki, { ...times, editQeIdentity })))).toEqual([]);
  });

  test('an enclave older than every listed version has no level', () => {
    const editQeIdentity = (document: StatementDocument): StatementDocument => ({
      ...document,
      tcbLevels: [{ tcb: { isvsvn: 7 }, tcbDate: '2024-01-01T00:00:00Z', tcbStatus: 'UpToDate' }],
    });
    const source = createCollateral(pki, { ...times, editQeIdentity });
    expect(codes(verify(source))).toEqual(['tcb_no_matching_level']);
  });

  const collateral = simulator.collateral();

  test('a module of another signer or with other attributes is refused, versioned or not', () => {
    for (const teeTcbSvn of [
      [6, 1, 3],
      [6, 0, 3],
    ]) {
      const svn = Uint8Array.of(...teeTcbSvn, ...new Uint8Array(13));
      const foreign = { teeTcbSvn: svn, mrSignerSeam: new Uint8Array(48).fill(1) };
      expect(codes(verify(collateral, foreign))).toContain('tdx_module_mismatch');
      const odd = { teeTcbSvn: svn, seamAttributes: new Uint8Array(8).fill(1) };
      expect(codes(verify(collateral, odd))).toContain('tdx_module_mismatch');
      expect(codes(verify(collateral, { teeTcbSvn: svn }))).toEqual([]);
    }
  });

  test('a module version that Intel does not describe is refused', () => {
    const teeTcbSvn = Uint8Array.of(6, 3, 3, ...new Uint8Array(13));
    expect(codes(verify(collateral, { teeTcbSvn }))).toEqual(['tdx_module_mismatch']);
  });
});

describe('who may vouch', () => {
  const validity = { notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + dayMs };
  const key = new SigningKey(new Uint8Array(32), 'stranger');
  const certificate = (commonName: string, changes: Partial<CertificateRequest> = {}): Uint8Array =>
    issueCertificate(
      {
        ...validity,
        subject: distinguishedName(commonName),
        spki: key.spki,
        serial: 99,
        usages: [keyUsage.digitalSignature],
        ...changes,
      },
      pki.platformCa,
    );
  const machineOf = (pck: Uint8Array): IntelPki => ({ ...pki, pck: { key, certificate: pck } });
  const collateral = simulator.collateral();

  test('a quoting enclave report signed by a certificate that is no PCK is refused', () => {
    const machine = machineOf(certificate('Intel SGX TCB Signing'));
    expect(codes(verify(collateral, {}, machine))).toContain('chain_profile_violated');
    const authority = machineOf(certificate('Intel SGX PCK Certificate', { authority: {} }));
    expect(codes(verify(collateral, {}, authority))).toContain('chain_profile_violated');
  });

  test('a certificate of another name is refused, even with the platform in it', () => {
    const extensions = [{ oid: sgxOid, value: pckExtension() }];
    const named = (name: string): IntelPki => machineOf(certificate(name, { extensions }));
    expect(codes(verify(collateral, {}, named('Intel SGX PCK Certificate')))).toEqual([]);
    expect(codes(verify(collateral, {}, named('Intel SGX TCB Signing')))).toEqual([
      'chain_profile_violated',
    ]);
  });

  test('a PCK certificate without the platform in it is refused', () => {
    const machine = machineOf(certificate('Intel SGX PCK Certificate'));
    expect(verify(collateral, {}, machine)).toMatchObject({ crypto: 'invalid' });
  });

  test('a certificate with an unknown critical extension is refused', () => {
    const extensions = [{ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }];
    const machine = machineOf(certificate('Intel SGX PCK Certificate', { extensions }));
    expect(codes(verify(collateral, {}, machine))).toEqual(['malformed_certificate']);
  });

  test('a PCK certificate that issues another one does not make it genuine', () => {
    const issuer = { name: distinguishedName('Intel SGX PCK Platform CA'), key };
    const notAuthority = issueCertificate(
      {
        ...validity,
        subject: issuer.name,
        spki: key.spki,
        serial: 5,
        usages: [keyUsage.digitalSignature],
      },
      pki.root,
    );
    const leaf = issueCertificate(
      {
        ...validity,
        subject: distinguishedName('Intel SGX PCK Certificate'),
        spki: key.spki,
        serial: 6,
        usages: [keyUsage.digitalSignature],
      },
      issuer,
    );
    const machine = { ...machineOf(leaf), platformCa: { ...issuer, certificate: notAuthority } };
    expect(codes(verify(collateral, {}, machine))).toEqual(['chain_profile_violated']);
  });

  test('an authority below its path length does not issue authorities', () => {
    const middle = { name: distinguishedName('Intel SGX TCB Signing'), key };
    const request = {
      ...validity,
      subject: middle.name,
      spki: key.spki,
      serial: 7,
      usages: [keyUsage.keyCertSign, keyUsage.digitalSignature],
      authority: {},
    };
    const belowLeafAuthority = issueCertificate(request, pki.platformCa);
    const chain = pemOf(
      'CERTIFICATE',
      belowLeafAuthority,
      pki.platformCa.certificate,
      pki.root.certificate,
    );
    const source = { ...collateral, tcb_info_issuer_chain: chain };
    expect(codes(verify(source))).toEqual(['collateral_chain_invalid']);
  });

  test('a statement signed by a certificate of another name below the root is refused', () => {
    const signer = issueCertificate(
      {
        ...validity,
        subject: distinguishedName('Intel SGX PCK Certificate'),
        spki: pki.tcbSigner.key.spki,
        serial: 8,
        usages: [keyUsage.digitalSignature],
      },
      pki.root,
    );
    const chain = pemOf('CERTIFICATE', signer, pki.root.certificate);
    const source = { ...collateral, qe_identity_issuer_chain: chain };
    expect(codes(verify(source))).toEqual(['collateral_chain_invalid']);
  });
});

describe('revocation', () => {
  test.each([
    ['the platform authority', { revokedByRoot: [serial.platformCa] }],
    ['the TCB signer', { revokedByRoot: [serial.tcbSigner] }],
    ['the root itself', { revokedByRoot: [serial.root] }],
    ['the platform key', { revokedByPlatformCa: [serial.pck] }],
  ])('of %s refuses', (_name, options) => {
    const source = createCollateral(pki, { ...times, ...options });
    expect(codes(verify(source))).toContain('certificate_revoked');
  });

  test('of others does not refuse', () => {
    const options = { revokedByRoot: [77], revokedByPlatformCa: [serial.platformCa, 78] };
    expect(codes(verify(createCollateral(pki, { ...times, ...options })))).toEqual([]);
  });

  test('a list by the right name and another key is refused', () => {
    const key = new SigningKey(new Uint8Array(32), 'impostor');
    const impostor = { name: pki.platformCa.name, key };
    const request = {
      notBeforeMs: nowMs - dayMs,
      notAfterMs: nowMs + dayMs,
      subject: impostor.name,
      spki: key.spki,
      serial: 50,
      authority: { pathLength: 0 },
      usages: [keyUsage.keyCertSign, keyUsage.cRLSign],
    };
    const list = { thisUpdateMs: nowMs - dayMs, nextUpdateMs: nowMs + dayMs, revokedSerials: [] };
    const der = issueList(list, impostor);
    const certificate = issueCertificate(request, pki.root);
    const source = {
      ...simulator.collateral(),
      pck_crl: Buffer.from(der).toString('hex'),
      pck_crl_issuer_chain: pemOf('CERTIFICATE', certificate, pki.root.certificate),
    };
    expect(codes(verify(source))).toEqual(['crl_issuer_mismatch']);
  });

  test('one list that has ended is enough to refuse', () => {
    const ended = { thisUpdateMs: nowMs - dayMs, nextUpdateMs: nowMs - 1000, revokedSerials: [] };
    const lists = {
      pck_crl: issueList(ended, pki.platformCa),
      root_ca_crl: issueList(ended, pki.root),
    };
    for (const [name, list] of Object.entries(lists)) {
      const source = { ...simulator.collateral(), [name]: Buffer.from(list).toString('hex') };
      expect(codes(verify(source)), name).toEqual(['crl_expired']);
    }
  });
});

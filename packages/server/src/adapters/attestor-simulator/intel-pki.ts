import { fromHex, present } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { distinguishedName, issueCertificate, keyUsage } from './issue.ts';
import type { Issuer } from './issue.ts';
import { SigningKey } from './signing-key.ts';

/** Patch level of the simulated platform, as its PCK certificate states it. */
export const simulatedPlatform = {
  fmspc: '50534d000000',
  pceId: '0000',
  ppid: '706f737465726e2d73696d756c61746f',
  componentSvns: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
} as const;

/** A copy of Intel's hierarchy with keys of our own: the root is not Intel's and pinned nowhere by default. */
export interface IntelPki {
  readonly root: Issuer & { readonly certificate: Uint8Array };
  readonly platformCa: Issuer & { readonly certificate: Uint8Array };
  readonly pck: { readonly key: SigningKey; readonly certificate: Uint8Array };
  readonly tcbSigner: { readonly key: SigningKey; readonly certificate: Uint8Array };
  readonly attestationKey: SigningKey;
}

export const serial = { root: 1, platformCa: 2, tcbSigner: 3, pck: 4 } as const;

/** Long and fixed: what ends early in the simulator is its collateral and the workload's certificates. */
const validity = {
  notBeforeMs: Date.UTC(2024, 0, 1),
  notAfterMs: Date.UTC(2049, 0, 1),
} as const;

const organization = 'Postern simulator, not Intel';
/** Arc of the extension that names the platform. */
export const sgxOid = '1.2.840.113741.1.13.1';

export function createIntelPki(seed: Uint8Array): IntelPki {
  const issuer = (label: string, commonName: string): Issuer => ({
    key: new SigningKey(seed, label),
    name: distinguishedName(commonName, organization),
  });
  const root = issuer('intel-root', 'Intel SGX Root CA');
  const platformCa = issuer('intel-platform-ca', 'Intel SGX PCK Platform CA');
  const pckKey = new SigningKey(seed, 'intel-pck');
  const tcbKey = new SigningKey(seed, 'intel-tcb-signing');
  const authorityUsages = [keyUsage.keyCertSign, keyUsage.cRLSign];
  const leaf = (commonName: string, key: SigningKey) => ({
    ...validity,
    subject: distinguishedName(commonName, organization),
    spki: key.spki,
    usages: [keyUsage.digitalSignature],
  });
  const authority = (subject: Issuer, pathLength: number) => ({
    ...validity,
    subject: subject.name,
    spki: subject.key.spki,
    usages: authorityUsages,
    authority: { pathLength },
  });
  const rootDer = issueCertificate({ ...authority(root, 1), serial: serial.root }, root);
  const caRequest = { ...authority(platformCa, 0), serial: serial.platformCa };
  const pckRequest = {
    ...leaf('Intel SGX PCK Certificate', pckKey),
    serial: serial.pck,
    extensions: [{ oid: sgxOid, value: pckExtension() }],
  };
  const tcbRequest = { ...leaf('Intel SGX TCB Signing', tcbKey), serial: serial.tcbSigner };
  return {
    root: { ...root, certificate: rootDer },
    platformCa: { ...platformCa, certificate: issueCertificate(caRequest, root) },
    pck: { key: pckKey, certificate: issueCertificate(pckRequest, platformCa) },
    tcbSigner: { key: tcbKey, certificate: issueCertificate(tcbRequest, root) },
    attestationKey: new SigningKey(seed, 'intel-attestation-key'),
  };
}

/** Intel's SGX extension (Intel SGX PCK certificate specification, section 1.3.5). */
export function pckExtension(): Uint8Array {
  const { componentSvns, pceSvn, ppid, pceId, fmspc } = simulatedPlatform;
  const pair = (suffix: string, value: Uint8Array): Uint8Array =>
    der.sequence(der.oid(`${sgxOid}.${suffix}`), value);
  const octets = (hex: string): Uint8Array =>
    der.octetString(present(fromHex(hex), 'a constant in hex'));
  const components = componentSvns.map((svn, index) => pair(`2.${index + 1}`, der.integer(svn)));
  return der.sequence(
    pair('1', octets(ppid)),
    pair(
      '2',
      der.sequence(
        ...components,
        pair('2.17', der.integer(pceSvn)),
        pair('2.18', der.octetString(Uint8Array.from(componentSvns))),
      ),
    ),
    pair('3', octets(pceId)),
    pair('4', octets(fmspc)),
    pair('5', der.element(0x0a, Uint8Array.of(0))),
  );
}

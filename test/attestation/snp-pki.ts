/** SEV-SNP reports under a hierarchy of our own: RSA-PSS authorities, P-384 chip keys. */
import { constants, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { concatBytes, fromHex } from '@postern/core/base';
import { der } from '@postern/core/base/der';
import { verifySnpReport } from '@postern/core/attest';
import type { SnpContext, Verification } from '@postern/core/attest';
import {
  distinguishedName,
  issueList,
  SigningKey,
  u32le,
} from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { nodeCrypto } from '../../packages/server/src/adapters/crypto-node/attest.ts';
import { nowMs } from './simulated.ts';

const arc = '1.3.6.1.4.1.3704.1';
const pss = (() => {
  const sha384 = der.sequence(der.oid('2.16.840.1.101.3.4.2.2'), der.nothing());
  return der.sequence(
    der.oid('1.2.840.113549.1.1.10'),
    der.sequence(
      der.explicit(0, sha384),
      der.explicit(1, der.sequence(der.oid('1.2.840.113549.1.1.8'), sha384)),
      der.explicit(2, der.integer(48)),
      der.explicit(3, der.integer(1)),
    ),
  );
})();

interface RsaIssuer {
  readonly name: Uint8Array;
  readonly privateKey: KeyObject;
  readonly spki: Uint8Array;
}

function rsaIssuer(commonName: string): RsaIssuer {
  // 2048 bits instead of AMD's 4096: making the longer ones takes seconds.
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  return { name: distinguishedName(commonName), privateKey, spki };
}

function signPss(tbs: Uint8Array, { privateKey }: RsaIssuer): Uint8Array {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return new Uint8Array(sign('sha384', tbs, { key: privateKey, padding, saltLength: 48 }));
}

interface Subject {
  readonly name: Uint8Array;
  readonly spki: Uint8Array;
  readonly serial: number;
  readonly extensions: readonly Uint8Array[];
}

function issue({ name, spki, serial, extensions }: Subject, issuer: RsaIssuer): Uint8Array {
  const tbs = der.sequence(
    der.explicit(0, der.integer(2)),
    der.integer(serial),
    pss,
    issuer.name,
    der.sequence(der.time(nowMs - 86_400_000), der.time(nowMs + 86_400_000)),
    name,
    spki,
    der.explicit(3, der.sequence(...extensions)),
  );
  return der.sequence(tbs, pss, der.bitString(signPss(tbs, issuer)));
}

function extension(oid: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(oid), ...flag, der.octetString(value));
}

const authority = [
  extension('2.5.29.15', der.namedBits(5, 6), true),
  extension('2.5.29.19', der.sequence(der.boolean(true), der.integer(1)), true),
];

const ark = rsaIssuer('ARK-Milan');
const asks = { VCEK: rsaIssuer('SEV-Milan'), VLEK: rsaIssuer('SEV-VLEK-Milan') };
const arkDer = issue({ ...ark, serial: 1, extensions: authority }, ark);
const askDers = {
  VCEK: issue({ ...asks.VCEK, serial: 2, extensions: authority }, ark),
  VLEK: issue({ ...asks.VLEK, serial: 3, extensions: authority }, ark),
};
const chipKey = new SigningKey(new Uint8Array(32), 'chip', 'P-384');

export const pins: ReadonlySet<string> = new Set([
  Buffer.from(nodeCrypto.sha256(arkDer)).toString('hex'),
]);

export type Kind = 'VCEK' | 'VLEK';

export interface ChipOptions {
  readonly kind?: Kind;
  readonly product?: string;
  /** Patch level: bootloader, TEE, SNP, microcode, and FMC for Turin. */
  readonly versions?: Readonly<Record<string, number>>;
  readonly chipId?: Uint8Array;
  /** Newer certificates wrap the id into an OCTET STRING. */
  readonly wrapsChipId?: boolean;
  /** Which intermediate issues it, where not its own; `ARK` leaves the intermediate out. */
  readonly issuer?: Kind | 'ARK';
  readonly isAuthority?: boolean;
}

const chipIdDefault = new Uint8Array(64).fill(7);
const versionsDefault = { '3.1': 4, '3.2': 0, '3.3': 23, '3.8': 213 };

/** An endorsement certificate with its issuers: what a context's `certificates` holds. */
export function certificatesOf(options: ChipOptions = {}): Uint8Array[] {
  const { kind = 'VCEK', product = 'Milan-B0', chipId = chipIdDefault } = options;
  const versions = { ...versionsDefault, ...options.versions };
  const numbers = Array.from({ length: 9 }, (_, index) => `3.${index + 1}`).map((suffix) =>
    extension(
      `${arc}.${suffix}`,
      der.integer(Object.entries(versions).find(([key]) => key === suffix)?.[1] ?? 0),
    ),
  );
  const id = options.wrapsChipId === true ? der.octetString(chipId) : chipId;
  const owner =
    kind === 'VCEK' ? extension(`${arc}.4`, id) : extension(`${arc}.5`, der.ia5String('cloud'));
  const issuerKind = options.issuer ?? kind;
  const isDirect = issuerKind === 'ARK';
  const leaf = issue(
    {
      name: distinguishedName(`SEV-${kind}`),
      spki: chipKey.spki,
      serial: 0,
      extensions: [
        extension(`${arc}.2`, der.ia5String(product)),
        ...numbers,
        owner,
        ...(options.isAuthority === true ? authority : []),
      ],
    },
    isDirect ? ark : asks[issuerKind],
  );
  return isDirect ? [leaf, arkDer] : [leaf, askDers[issuerKind], arkDer];
}

/** AMD's revocation list, naming intermediates: 2 is the ASK of chips, 3 that of clouds. */
export function revocationListOf(serials: readonly number[], endsMs = nowMs + 1000): Uint8Array {
  const key = new SigningKey(new Uint8Array(32), 'unused', 'P-384');
  const list = { thisUpdateMs: nowMs - 1000, nextUpdateMs: endsMs, revokedSerials: serials };
  const draft = issueList(list, { name: ark.name, key });
  return resigned(draft, key);
}

/** The draft with AMD's algorithm and signature in place of its own. */
function resigned(draft: Uint8Array, key: SigningKey): Uint8Array {
  const hex = Buffer.from(draft).toString('hex');
  const algorithm = Buffer.from(key.algorithm).toString('hex');
  const start = hex.indexOf(algorithm);
  const header = draft.subarray(start / 2 - 3, start / 2);
  const inner = draft.subarray(start / 2 - header.length);
  const end = hex.indexOf(algorithm, start + algorithm.length) / 2;
  const fields = draft.subarray((start + algorithm.length) / 2, end);
  const tbs = der.sequence(header, pss, fields);
  if (inner.length === 0) throw new Error('not a revocation list');
  return der.sequence(tbs, pss, der.bitString(signPss(tbs, ark)));
}

export interface ReportOptions {
  readonly version?: number;
  readonly policy?: bigint;
  readonly vmpl?: number;
  readonly flags?: number;
  readonly algorithm?: number;
  readonly reportedTcb?: readonly number[];
  readonly chipId?: Uint8Array;
  readonly hostData?: Uint8Array;
  readonly reportData?: Uint8Array;
  readonly reserved?: number;
}

/** A signed report, by default what the default certificate endorses. */
export function reportOf(options: ReportOptions = {}): Uint8Array {
  const report = new Uint8Array(0x2a0);
  const view = new DataView(report.buffer);
  view.setUint32(0, options.version ?? 3, true);
  view.setBigUint64(8, options.policy ?? 0x30000n, true);
  view.setUint32(0x30, options.vmpl ?? 0, true);
  report.set(u32le(options.algorithm ?? 1), 0x34);
  view.setUint32(0x48, options.flags ?? 0, true);
  report.set(options.reportData ?? new Uint8Array(64).fill(1), 0x50);
  report.fill(9, 0x90, 0xc0);
  report.set(options.hostData ?? new Uint8Array(32), 0xc0);
  report.set(options.reportedTcb ?? [4, 0, 0, 0, 0, 0, 23, 213], 0x180);
  report.set(options.chipId ?? chipIdDefault, 0x1a0);
  report[0x1eb] = options.reserved ?? 0;
  const raw = chipKey.signRaw(report);
  const scalar = (bytes: Uint8Array): Uint8Array =>
    concatBytes(bytes.toReversed(), new Uint8Array(24));
  const signature = concatBytes(scalar(raw.subarray(0, 48)), scalar(raw.subarray(48)));
  return concatBytes(report, signature, new Uint8Array(1184 - 0x2a0 - 144));
}

export function verifyReport(report: Uint8Array, changes: Partial<SnpContext> = {}): Verification {
  const certificates = changes.certificates ?? certificatesOf();
  return verifySnpReport(report, { crypto: nodeCrypto, pins, nowMs, ...changes, certificates });
}

export function hexBytes(hex: string): Uint8Array {
  return fromHex(hex) ?? new Uint8Array();
}

/** Every reader of hostile bytes under attestation and certificates, with inputs that it accepts. */
import { utf8 } from '@postern/core/base';
import { readCbor, writeCbor } from '@postern/core/base/cbor';
import type { CborValue } from '@postern/core/base/cbor';
import { ByteCursor, reading } from '@postern/core/base/cursor';
import { decodeDer, der, readPem, writePem } from '@postern/core/base/der';
import { readMsgpack, writeMsgpack } from '@postern/core/base/msgpack';
import {
  readCompact,
  readScaleBytes,
  readScaleText,
  readScaleVector,
  writeCompact,
  writeScaleBytes,
  writeScaleText,
} from '@postern/core/base/scale';
import {
  evidenceKind,
  hardwareEvidence,
  parseCollateral,
  parseDstackAttestation,
  parseEventLog,
  parseIntelQuote,
  parseNitroDocument,
  parseQuoteAnswer,
  parseSnpReport,
  readRaTlsExtensions,
} from '@postern/core/attest';
import { parseJwkSet } from '@postern/core/attest/jwk';
import {
  parseCertificate,
  parseCertificateRequest,
  parseRevocationList,
} from '@postern/core/attest/x509';
import { concatBytes, jsonValueOf, utf8Text } from '@postern/core/base';
import { issueList } from '../../packages/server/src/adapters/attestor-simulator/index.ts';
import { decodeEvidence } from '../../packages/postern/src/commands/attest/input.ts';
import { documentOf } from './nitro-pki.ts';
import { leafOf, simulator } from './simulated.ts';
import { reportOf } from './snp-pki.ts';

export interface Reader {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** True where the bytes were read. Must never throw. */
  readonly read: (bytes: Uint8Array) => boolean;
}

const reportData = new Uint8Array(64).fill(0x42);
const { quote, eventLog } = simulator.quote(reportData);
const scale = simulator.attestation(reportData, 'scale');
const msgpack = simulator.attestation(reportData, 'msgpack');
const leaf = leafOf();
const root = simulator.pki.root.certificate;
const source = simulator.collateral();
const list = issueList(
  { thisUpdateMs: 0, nextUpdateMs: 1, revokedSerials: [1, 2, 3] },
  simulator.pki.root,
);
const answer = utf8(
  JSON.stringify({
    quote: '',
    event_log: eventLog,
    report_data: '',
    attestation: '00',
    vm_config: '',
  }),
);
const request = der.sequence(
  der.sequence(der.integer(0), der.sequence(), simulator.pki.root.key.spki, der.element(0xa0)),
  der.sequence(der.oid('1.2.840.10045.4.3.2')),
  der.bitString(new Uint8Array(70)),
);
const item: CborValue = new Map<string, CborValue>([
  ['bytes', new Uint8Array(40)],
  ['list', [1, -2, 'text', null, true]],
]);
const scaleParts = concatBytes(
  writeScaleText('event'),
  writeScaleBytes(new Uint8Array(70)),
  writeCompact(3),
  writeCompact(1),
  writeCompact(70),
  writeCompact(70_000),
);
const keys = {
  keys: [{ kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'B'.repeat(43), kid: 'a' }],
};

const readScale = (bytes: Uint8Array): boolean =>
  reading(() => {
    const cursor = new ByteCursor(bytes);
    readScaleText(cursor, 'text');
    readScaleBytes(cursor, 'bytes');
    readScaleVector(cursor, { what: 'vector', itemBytesMin: 1, itemsMax: 4096 }, () =>
      readCompact(cursor, 'number'),
    );
    return cursor.remaining === 0 ? true : cursor.fail('more follows');
  }).ok;

export const readers: readonly Reader[] = [
  { name: 'DER', seeds: [root, list, request], read: (b) => decodeDer(b, (e) => e.checkTree()).ok },
  {
    name: 'PEM',
    seeds: [utf8(writePem({ label: 'CERTIFICATE', bytes: root }))],
    read: (bytes) => readPem(Buffer.from(bytes).toString('latin1')).ok,
  },
  { name: 'CBOR', seeds: [writeCbor(item), documentOf()], read: (b) => readCbor(b).ok },
  { name: 'MessagePack', seeds: [msgpack, writeMsgpack(['a', 1])], read: (b) => readMsgpack(b).ok },
  { name: 'SCALE', seeds: [scaleParts], read: readScale },
  { name: 'certificate', seeds: [root, leaf], read: (b) => parseCertificate(b).ok },
  { name: 'revocation list', seeds: [list], read: (b) => parseRevocationList(b).ok },
  { name: 'certificate request', seeds: [request], read: (b) => parseCertificateRequest(b).ok },
  {
    name: 'RA-TLS extensions',
    seeds: [leaf],
    read: (bytes) => {
      const certificate = parseCertificate(bytes);
      return certificate.ok && readRaTlsExtensions(certificate.value, {}).ok;
    },
  },
  { name: 'Intel quote', seeds: [quote], read: (b) => parseIntelQuote(b).ok },
  { name: 'SNP report', seeds: [reportOf()], read: (b) => parseSnpReport(b).ok },
  { name: 'Nitro document', seeds: [documentOf()], read: (b) => parseNitroDocument(b).ok },
  {
    name: 'dstack attestation',
    seeds: [scale, msgpack],
    read: (b) => parseDstackAttestation(b).ok,
  },
  { name: 'quote answer', seeds: [answer], read: (b) => parseQuoteAnswer(b).ok },
  { name: 'event log', seeds: [utf8(eventLog)], read: (b) => parseEventLog(b).ok },
  {
    name: 'collateral file',
    seeds: [utf8(JSON.stringify({ ...source, pck_crl: '00', root_ca_crl: '00' }))],
    read: (bytes) => parseCollateral(bytes).ok,
  },
  {
    name: 'key set',
    seeds: [utf8(JSON.stringify(keys))],
    read: (bytes) => parseJwkSet(jsonValueOf(utf8Text(bytes) ?? '')).ok,
  },
  {
    name: 'form of evidence',
    seeds: [quote, leaf, msgpack, utf8(Buffer.from(quote).toString('hex'))],
    read: (bytes) => {
      const evidence = decodeEvidence(bytes);
      if (evidence.kind === undefined) return false;
      hardwareEvidence(evidence.kind, evidence.bytes, {});
      return evidenceKind(evidence.bytes) !== undefined;
    },
  },
];

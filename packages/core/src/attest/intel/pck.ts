import { decodeDer } from '../../base/der/index.ts';
import type { DerElement } from '../../base/der/index.ts';
import { toHex } from '../../base/bytes.ts';
import { err, ok } from '../../base/result.ts';
import type { Result } from '../../base/result.ts';
import { finding } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { VendorCertificate } from '../vendor/index.ts';

/** Intel's SGX extension of a PCK certificate: which platform the key belongs to, and its patch level. */
export interface PckExtension {
  readonly ppid: Uint8Array;
  /** The 16 component versions of the platform. */
  readonly componentSvns: readonly number[];
  readonly pceSvn: number;
  readonly pceId: string;
  readonly fmspc: string;
}

const sgxExtension = '1.2.840.113741.1.13.1';
const componentCount = 16;

/** The SGX extension of a PCK certificate, which must have each field exactly once. */
export function readPckExtension(certificate: VendorCertificate): Result<PckExtension, Finding> {
  const extension = certificate.extensions.get(sgxExtension);
  if (extension === undefined) {
    return err(finding('chain_profile_violated', 'no SGX extension in the PCK certificate'));
  }
  const read = decodeDer(extension.value, readFields);
  return read.ok ? ok(read.value) : err(finding('malformed_certificate', read.error.detail));
}

function readFields(root: DerElement): PckExtension {
  const fields = readPairs(root);
  const field = (suffix: string): DerElement =>
    fields.get(`${sgxExtension}.${suffix}`) ?? root.refuse(`no field ${suffix}`);
  const tcb = readPairs(field('2'));
  const svn = (index: number): number =>
    (
      tcb.get(`${sgxExtension}.2.${index}`) ?? root.refuse(`no TCB component ${index}`)
    ).smallInteger(index > componentCount ? 0xffff : 0xff);
  const componentSvns = Array.from({ length: componentCount }, (_, index) => svn(index + 1));
  const pceId = sized(field('3'), 2);
  const fmspc = sized(field('4'), 6);
  const ppid = sized(field('1'), 16);
  return {
    ppid,
    componentSvns,
    pceSvn: svn(componentCount + 1),
    pceId: toHex(pceId),
    fmspc: toHex(fmspc),
  };
}

function readPairs(sequence: DerElement): ReadonlyMap<string, DerElement> {
  const pairs = new Map<string, DerElement>();
  sequence.sequenceOf((pair) => {
    pair.sequence((cursor) => {
      const id = cursor.next().oid();
      if (pairs.has(id)) pair.refuse(`field ${id} appears twice`);
      pairs.set(id, cursor.next());
    });
  });
  return pairs;
}

function sized(element: DerElement, bytes: number): Uint8Array {
  const value = element.octetString();
  return value.length === bytes ? value : element.refuse(`not ${bytes} bytes`);
}

/** Where the fields of evidence stand that somebody signed, or that hold a signature: what a changed byte must break. */

export type Field = readonly [name: string, at: number, length: number];

/** One byte in each field, as far in as `part` says: 0 is the first, 1 the last. */
export function probes(
  fields: readonly Field[],
  part: number,
): (readonly [name: string, at: number])[] {
  return fields.map(([name, at, length]) => [name, at + Math.round((length - 1) * part)] as const);
}

/** Every seventh byte of each field, and its last. */
export function manyBytes(fields: readonly Field[]): (readonly [name: string, at: number])[] {
  return fields.flatMap(([name, at, length]) => {
    const offsets = new Set([length - 1]);
    for (let offset = 0; offset < length; offset += 7) offsets.add(offset);
    return [...offsets].map((offset) => [name, at + offset] as const);
  });
}

/** The fields of an SGX or TDX quote of version 3, 4 or 5, up to and with its platform certificate. */
export function intelFields(quote: Uint8Array): readonly Field[] {
  const view = new DataView(quote.buffer, quote.byteOffset, quote.byteLength);
  const version = view.getUint16(0, true);
  const isTdx = view.getUint32(4, true) === 0x81;
  const bodyAt = version === 5 ? 54 : 48;
  const isTd15 = version === 5 && view.getUint16(48, true) === 3;
  const bodyBytes = isTdx ? (isTd15 ? 648 : 584) : 384;
  const descriptor: Field[] =
    version === 5
      ? [
          ['body type', 48, 2],
          ['body size', 50, 4],
        ]
      : [];
  const body = isTdx ? tdFields(bodyAt, isTd15) : sgxFields(bodyAt);
  const signatureAt = bodyAt + bodyBytes;
  // Versions 4 and 5 wrap the QE report into certification data of type 6.
  const gap = version === 3 ? 0 : 6;
  const authAt = signatureAt + 580 + gap;
  const authBytes = view.getUint16(authAt, true);
  const certificationAt = authAt + 2 + authBytes;
  const pem = Buffer.from(quote.subarray(certificationAt)).indexOf('-----BEGIN');
  const chain: Field[] = pem < 0 ? [] : [['PCK certificate', certificationAt + pem + 40, 1200]];
  return [
    ...headerFields,
    ...descriptor,
    ...body,
    ['quote signature', signatureAt + 4, 64],
    ['attestation key', signatureAt + 68, 64],
    ...sgxFields(signatureAt + 132 + gap).map(
      ([name, at, length]): Field => [`QE ${name}`, at, length],
    ),
    ['QE report signature', signatureAt + 516 + gap, 64],
    ['QE auth size', authAt, 2],
    ['QE auth data', authAt + 2, authBytes],
    ['certification type', certificationAt, 2],
    ...chain,
  ];
}

const headerFields: readonly Field[] = [
  ['version', 0, 2],
  ['attestation key type', 2, 2],
  ['TEE type', 4, 4],
  ['QE and PCE SVN', 8, 4],
  ['QE vendor id', 12, 16],
  ['user data', 28, 20],
];

function tdFields(at: number, isTd15: boolean): Field[] {
  const fields: Field[] = [
    ['TEE_TCB_SVN', at, 16],
    ['MRSEAM', at + 16, 48],
    ['MRSIGNERSEAM', at + 64, 48],
    ['SEAMATTRIBUTES', at + 112, 8],
    ['TDATTRIBUTES', at + 120, 8],
    ['XFAM', at + 128, 8],
    ['MRTD', at + 136, 48],
    ['MRCONFIGID', at + 184, 48],
    ['MROWNER', at + 232, 48],
    ['MROWNERCONFIG', at + 280, 48],
    ['RTMR0', at + 328, 48],
    ['RTMR1', at + 376, 48],
    ['RTMR2', at + 424, 48],
    ['RTMR3', at + 472, 48],
    ['REPORTDATA', at + 520, 64],
  ];
  if (isTd15) fields.push(['TEE_TCB_SVN_2', at + 584, 16], ['MRSERVICETD', at + 600, 48]);
  return fields;
}

function sgxFields(at: number): Field[] {
  return [
    ['CPUSVN', at, 16],
    ['MISCSELECT', at + 16, 4],
    ['ISVEXTPRODID', at + 32, 16],
    ['ATTRIBUTES', at + 48, 16],
    ['MRENCLAVE', at + 64, 32],
    ['MRSIGNER', at + 128, 32],
    ['CONFIGID', at + 192, 64],
    ['ISVPRODID', at + 256, 2],
    ['ISVSVN', at + 258, 2],
    ['CONFIGSVN', at + 260, 2],
    ['ISVFAMILYID', at + 304, 16],
    ['REPORTDATA', at + 320, 64],
  ];
}

/** The fields of an SEV-SNP report. */
export const snpFields: readonly Field[] = [
  ['version', 0, 4],
  ['guest SVN', 4, 4],
  ['policy', 8, 8],
  ['family id', 0x10, 16],
  ['image id', 0x20, 16],
  ['VMPL', 0x30, 4],
  ['signature algorithm', 0x34, 4],
  ['current TCB', 0x38, 8],
  ['platform info', 0x40, 8],
  ['signer info', 0x48, 4],
  ['reserved', 0x4c, 4],
  ['report data', 0x50, 64],
  ['measurement', 0x90, 48],
  ['host data', 0xc0, 32],
  ['id key digest', 0xe0, 48],
  ['author key digest', 0x110, 48],
  ['report id', 0x140, 32],
  ['migration agent', 0x160, 32],
  ['reported TCB', 0x180, 8],
  ['CPUID', 0x188, 24],
  ['chip id', 0x1a0, 64],
  ['committed TCB', 0x1e0, 8],
  ['versions', 0x1e8, 8],
  ['launch TCB', 0x1f0, 8],
  ['mitigation vectors and reserved', 0x1f8, 0x2a0 - 0x1f8],
  ['signature r', 0x2a0, 72],
  ['signature s', 0x2e8, 72],
];

import { decodeDer } from '../../base/der/index.ts';
import { malformed, reading } from '../../base/cursor/index.ts';
import type { Malformed } from '../../base/cursor/index.ts';
import type { Result } from '../../base/result.ts';
import type { VendorCertificate } from '../vendor/index.ts';

/** What a chip (VCEK) or cloud (VLEK) endorsement certificate says in AMD's extensions. */
export interface ChipExtensions {
  readonly kind: 'VCEK' | 'VLEK';
  /** `Milan-B0`, `Genoa`, `Turin`… */
  readonly product: string;
  /** The chip; VLEKs name none. */
  readonly hardwareId: Uint8Array | undefined;
  /** Patch level in the byte order of the product's TCB_VERSION. */
  readonly tcb: readonly number[];
  readonly firmware: Readonly<Record<string, number>>;
}

const arc = '1.3.6.1.4.1.3704.1';
const oid = {
  product: `${arc}.2`,
  hardwareId: `${arc}.4`,
  cspId: `${arc}.5`,
} as const;

/**
 * Which extension holds which byte of TCB_VERSION; undefined bytes are reserved and zero. Publication
 * 57230 (VCEK certificate specification): the layout changed with Turin (family 1Ah).
 */
const milanLayout = ['3.1', '3.2', '3.4', '3.5', '3.6', '3.7', '3.3', '3.8'] as const;
const turinLayout = ['3.9', '3.1', '3.2', '3.3', undefined, undefined, undefined, '3.8'] as const;

const reservedLevels: ReadonlySet<string> = new Set(['3.4', '3.5', '3.6', '3.7']);

const componentNames: Readonly<Record<string, string>> = {
  '3.9': 'fmc',
  '3.1': 'bootloader',
  '3.2': 'tee',
  '3.3': 'snp',
  '3.8': 'microcode',
};

export function readChipExtensions(
  certificate: VendorCertificate,
): Result<ChipExtensions, Malformed> {
  return reading(() => {
    const product = readText(certificate, oid.product);
    const layout = product.startsWith('Turin') ? turinLayout : milanLayout;
    const firmware: Record<string, number> = {};
    const tcb = layout.map((suffix) => {
      if (suffix === undefined) return 0;
      const id = `${arc}.${suffix}`;
      // The four reserved levels may be left out; they are zero then, and the report must say so too.
      if (!certificate.extensions.has(id) && reservedLevels.has(suffix)) return 0;
      const version = readNumber(certificate, id);
      const name = componentNames[suffix];
      if (name !== undefined) firmware[name] = version;
      return version;
    });
    const hardwareId = readHardwareId(certificate.extensions.get(oid.hardwareId)?.value);
    const isLoaded = certificate.extensions.has(oid.cspId);
    if (isLoaded === (hardwareId !== undefined)) return malformed('neither VCEK nor VLEK');
    return { kind: isLoaded ? 'VLEK' : 'VCEK', product, hardwareId, tcb, firmware };
  });
}

/** Early products have 64 bytes, Turin has 8. */
const hardwareIdSizes = [64, 8] as const;

/** Older certificates put the bytes into the extension as they are, newer ones as an OCTET STRING. */
function readHardwareId(value: Uint8Array | undefined): Uint8Array | undefined {
  if (value === undefined) return undefined;
  for (const size of hardwareIdSizes) {
    if (value.length === size) return value;
    const isWrapped = value.length === size + 2 && value[0] === 0x04 && value[1] === size;
    if (isWrapped) return value.subarray(2);
  }
  return malformed(`hardware id of ${value.length} bytes`);
}

function extension(certificate: VendorCertificate, id: string): Uint8Array {
  return certificate.extensions.get(id)?.value ?? malformed(`no extension ${id}`);
}

function readNumber(certificate: VendorCertificate, id: string): number {
  const read = decodeDer(extension(certificate, id), (root) => root.smallInteger(255));
  return read.ok ? read.value : malformed(`extension ${id} is not a byte`);
}

function readText(certificate: VendorCertificate, id: string): string {
  const read = decodeDer(extension(certificate, id), (root) => root.text().text);
  return read.ok ? read.value : malformed(`extension ${id} is not text`);
}

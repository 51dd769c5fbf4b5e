/** Textual encodings of certificates and keys (RFC 7468), the strict grammar with free line widths. */
import { fromBase64, toBase64 } from '../bytes.ts';
import { err, ok, type Result } from '../result.ts';

export interface PemBlock {
  /** What stands after BEGIN, such as `CERTIFICATE`. */
  readonly label: string;
  readonly bytes: Uint8Array;
}

export interface PemError {
  readonly code: 'too-large' | 'too-many-blocks' | 'bad-boundary' | 'bad-base64' | 'stray-text';
  /** Line number from 1. */
  readonly line: number;
}

export interface PemOptions {
  /** Text between blocks is skipped (bundles with comments), not refused. */
  readonly allowsText?: boolean;
}

export const pemLimits: { readonly charactersMax: number; readonly blocksMax: number } = {
  // A full bundle of public roots is about 250 KiB; a large revocation list a few MiB.
  charactersMax: 4_194_304,
  blocksMax: 4_096,
};

const labelPattern = '[A-Z0-9](?:[A-Z0-9 -]*[A-Z0-9])?';
const beginLine = new RegExp(`^-----BEGIN (${labelPattern})-----$`);
const endLine = new RegExp(`^-----END (${labelPattern})-----$`);

/** Every block of a text, in order. A block never closed, or closed by another label, is an error. */
export function readPem(
  text: string,
  options: PemOptions = {},
): Result<readonly PemBlock[], PemError> {
  if (text.length > pemLimits.charactersMax) return err({ code: 'too-large', line: 1 });
  const blocks: PemBlock[] = [];
  let open: { label: string; base64: string[] } | undefined;
  const lines = text.split(/\r\n|\n|\r/);
  for (const [index, raw] of lines.entries()) {
    const line = raw.replace(/[ \t]+$/, '');
    const at = index + 1;
    if (open === undefined) {
      const label = beginLine.exec(line)?.[1];
      if (label !== undefined) open = { label, base64: [] };
      else if (line.startsWith('-----')) return err({ code: 'bad-boundary', line: at });
      else if (line !== '' && options.allowsText !== true) {
        return err({ code: 'stray-text', line: at });
      }
      continue;
    }
    if (!line.startsWith('-----')) {
      open.base64.push(line);
      continue;
    }
    if (endLine.exec(line)?.[1] !== open.label) return err({ code: 'bad-boundary', line: at });
    const bytes = fromBase64(open.base64.join(''));
    if (bytes === undefined || bytes.length === 0) return err({ code: 'bad-base64', line: at });
    if (blocks.length >= pemLimits.blocksMax) return err({ code: 'too-many-blocks', line: at });
    blocks.push({ label: open.label, bytes });
    open = undefined;
  }
  return open === undefined ? ok(blocks) : err({ code: 'bad-boundary', line: lines.length });
}

export function writePem(block: PemBlock): string {
  const lines = toBase64(block.bytes).match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${block.label}-----`, ...lines, `-----END ${block.label}-----`, ''].join(
    '\n',
  );
}

import { fromBase64, fromHex, toBase64, toHex } from '@postern/core/base';
import type { ChainHead } from './chain.ts';
import { originForm } from './chain.ts';
import { hashBytes } from './tree.ts';

/** What is signed: how long a log is, the root of its tree, and where the other chains of this gateway are. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** When it was made, by the clock of whoever signed. */
  readonly atMs: number;
  /** Hash of the last record. */
  readonly chain: Uint8Array;
  /** The last record of the state journal. */
  readonly journal: { readonly index: number; readonly hash: string } | undefined;
}

/**
 * The text of a C2SP tlog-checkpoint: origin, size and root in base64, a line each; then our extension lines, `at`,
 * `chain` and `journal`.
 */
export function checkpointText(checkpoint: Checkpoint): string {
  const { origin, size, root, atMs, chain, journal } = checkpoint;
  const lines = [origin, String(size), toBase64(root), `at ${atMs}`, `chain ${toHex(chain)}`];
  if (journal !== undefined) lines.push(`journal ${journal.index} ${journal.hash}`);
  return `${lines.join('\n')}\n`;
}

/** The checkpoint of a note's text; extension lines that this release does not know are passed over. */
export function readCheckpoint(text: string): Checkpoint | undefined {
  const [origin = '', sizeText = '', rootText = '', ...extensions] = text.split('\n');
  const size = integer(sizeText);
  const root = fromBase64(rootText);
  if (!text.endsWith('\n') || !originForm.test(origin)) return undefined;
  if (size === undefined || root?.length !== hashBytes) return undefined;
  const at = extension(extensions, /^at (\S+)$/);
  const atMs = integer(at?.[1] ?? '');
  const chain = fromHex(extension(extensions, /^chain ([0-9a-f]{64})$/)?.[1] ?? '');
  if (atMs === undefined || chain?.length !== hashBytes) return undefined;
  const journal = extension(extensions, /^journal (\S+) ([0-9a-f]{64})$/);
  const index = integer(journal?.[1] ?? '');
  const hash = journal?.[2];
  return {
    origin,
    size,
    root,
    atMs,
    chain,
    journal: index === undefined || hash === undefined ? undefined : { index, hash },
  };
}

/** Decimal without leading zeros, as the specification has sizes. */
function integer(text: string): number | undefined {
  if (!/^(?:0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}

function extension(lines: readonly string[], form: RegExp): RegExpExecArray | null {
  for (const line of lines) {
    const match = form.exec(line);
    if (match !== null) return match;
  }
  return null;
}

export function headOfCheckpoint({ size, chain }: Checkpoint): ChainHead {
  return { size, hash: chain };
}

/** Every signature begins so, and no text of ours does. */
const signatureStart = '— ';

/**
 * The notes of a checkpoint file: one after another, an empty line between them. Our texts hold no empty line, so that
 * a note is three parts: text, empty line, signatures. A part that no signatures follow is what an append left that was cut
 * short: it is a note by itself, which nobody signed, and spoils none of those after it.
 */
export function splitNotes(file: string): readonly string[] {
  const parts = file.split('\n\n');
  const notes: string[] = [];
  for (let at = 0; at < parts.length; at += 1) {
    // What was cut short may have left a line feed of its own.
    const text = (parts[at] ?? '').replace(/^\n+/, '');
    const signatures = parts[at + 1];
    if (signatures?.startsWith(signatureStart) === true) {
      notes.push(`${text}\n\n${signatures.endsWith('\n') ? signatures : `${signatures}\n`}`);
      at += 1;
    } else if (text.trim() !== '') notes.push(text);
  }
  return notes;
}

/** The notes of a rest of such a file that begins anywhere: those behind the first signatures in it, which may be of a cut one. */
export function notesAfterCut(rest: string): readonly string[] {
  const signatures = rest.indexOf(`\n\n${signatureStart}`);
  const next = signatures < 0 ? -1 : rest.indexOf('\n\n', signatures + 2);
  return next < 0 ? [] : splitNotes(rest.slice(next + 2));
}

import { utf8 } from '../../base/index.ts';
import { toolUseId } from '../anthropic-messages/blocks-encode.ts';

/** Ids and names: Bedrock takes letters, digits, `_` and `-`, at most 64 of them. */

const nameCharsMax = 64;
const documentNameCharsMax = 200;

export function isToolName(name: string): boolean {
  return /^[A-Za-z0-9_-]{1,64}$/.test(name);
}

/** Any text as an id or as the name of a tool in the history: the same text always becomes the same id. */
export function idOf(text: string): string {
  const id = toolUseId(text);
  if (id.length <= nameCharsMax) return id;
  const digest = digestOf(text);
  return `${id.slice(0, nameCharsMax - digest.length - 1)}_${digest}`;
}

/** FNV-1a twice, from two starts: enough to keep the ids of one conversation apart; it protects nothing. */
function digestOf(text: string): string {
  const bytes = utf8(text);
  return hash(bytes, 0x81_1c_9d_c5) + hash(bytes, 0x1b_87_35_93);
}

function hash(bytes: Uint8Array, start: number): string {
  let sum = start;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 0x01_00_01_93);
  return (sum >>> 0).toString(16).padStart(8, '0');
}

/** Names of documents are letters, digits, single spaces, hyphens and brackets, and each stands once in a request. */
export class DocumentNames {
  readonly #taken = new Set<string>();
  /** How often a name was asked for, so that the next free one is found without a search. */
  readonly #counts = new Map<string, number>();

  name(title: string | undefined): string {
    const plain = (title ?? '')
      .replaceAll(/[^A-Za-z0-9\s()[\]-]/g, '-')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .slice(0, documentNameCharsMax)
      .trimEnd();
    const base = plain === '' ? 'document' : plain;
    let name = base;
    let count = this.#counts.get(base) ?? 1;
    for (; this.#taken.has(name); count += 1) {
      const suffix = ` ${count + 1}`;
      name = base.slice(0, documentNameCharsMax - suffix.length).trimEnd() + suffix;
    }
    this.#counts.set(base, count);
    this.#taken.add(name);
    return name;
  }
}

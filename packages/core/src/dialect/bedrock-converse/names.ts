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

/** FNV-1a, 64 bits: enough to keep the ids of one conversation apart; it protects nothing. */
function digestOf(text: string): string {
  let sum = 0xcb_f2_9c_e4_84_22_23_25n;
  for (const byte of utf8(text)) {
    sum = BigInt.asUintN(64, (sum ^ BigInt(byte)) * 0x1_00_00_00_01_b3n);
  }
  return sum.toString(16).padStart(16, '0');
}

/** Names of documents are letters, digits, single spaces, hyphens and brackets, and each stands once in a request. */
export class DocumentNames {
  readonly #taken = new Set<string>();

  name(title: string | undefined): string {
    const plain = (title ?? '')
      .replaceAll(/[^A-Za-z0-9\s()[\]-]/g, '-')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .slice(0, documentNameCharsMax);
    const base = plain === '' ? 'document' : plain;
    let name = base;
    for (let count = 2; this.#taken.has(name); count += 1) {
      const suffix = ` ${count}`;
      name = base.slice(0, documentNameCharsMax - suffix.length) + suffix;
    }
    this.#taken.add(name);
    return name;
  }
}

/** Judges `base/hujson` by tables of parsing, formatting, patching, finding and walking. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import {
  bytesOf,
  byteTextOf,
  find,
  format,
  type HujsonNode,
  type HujsonValue,
  isStandard,
  minimize,
  type PartialValue,
  pack,
  packText,
  parse,
  patch,
  plainValue,
  standardize,
  textOf,
  walk,
} from '@postern/core/base/hujson';
import { isDeepStrictEqual } from 'node:util';
import type { CaseResult } from './suite.ts';

interface Case {
  readonly name: string;
  readonly input?: string;
  readonly inputBase64?: string;
  readonly valid?: boolean;
  readonly error?: unknown;
  readonly tree?: unknown;
  readonly minimized?: string;
  readonly standardized?: string;
  readonly isStandard?: boolean;
  readonly expected?: string | null;
  readonly expectedBase64?: string;
  readonly operation?: string;
  readonly patch?: string;
  readonly pointer?: string;
  readonly found?: boolean;
  readonly value?: unknown;
}

interface Table {
  readonly document?: string;
  readonly input?: string;
  readonly visited?: readonly string[];
  readonly cases?: readonly Case[];
}

export async function* suite(files: readonly string[]): AsyncIterable<CaseResult> {
  for (const file of files) {
    const table = JSON.parse(readFileSync(file, 'utf8')) as Table; // Trusted test data.
    if (table.visited !== undefined) {
      yield verdict(basename(file, '.json'), () =>
        judgeWalk(table.input ?? '', table.visited ?? []),
      );
    }
    for (const c of table.cases ?? []) yield verdict(c.name, () => judge(c, table));
  }
}

function verdict(id: string, judged: () => string | undefined): CaseResult {
  try {
    const why = judged();
    return why === undefined ? { id, pass: true } : { id, pass: false, why };
  } catch (fault) {
    return { id, pass: false, why: String(fault) };
  }
}

/** The kind of a case shows in its fields, not in the name of its file. */
function judge(c: Case, table: Table): string | undefined {
  if (c.pointer !== undefined) return judgeFind(c, table.document ?? c.input ?? '');
  if (c.patch !== undefined) return judgePatch(c);
  if (c.valid !== undefined) return judgeParse(c);
  return judgeRewrite(c);
}

function inputOf(c: Case): Uint8Array {
  if (c.inputBase64 !== undefined) return Uint8Array.from(Buffer.from(c.inputBase64, 'base64'));
  return new TextEncoder().encode(c.input ?? '');
}

function differ(what: string, got: unknown, want: unknown): string | undefined {
  if (isDeepStrictEqual(got, want)) return undefined;
  return `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`;
}

const texts = (bytes: Uint8Array): string => textOf(byteTextOf(bytes));

function judgeParse(c: Case): string | undefined {
  const input = inputOf(c);
  const parsed = parse(input);
  if (!parsed.ok) {
    if (c.valid === true) return `refused: ${parsed.error.message}`;
    const { message, line, column, detail } = parsed.error;
    return (
      differ('error', { message, line, column, detail }, c.error) ??
      differ('tree', treeOf(parsed.error.partial), c.tree)
    );
  }
  if (c.valid !== true) return 'accepted';
  const [short, standard] = [minimize(input), standardize(input)];
  return (
    differ('tree', treeOf(parsed.value), c.tree) ??
    differ(
      'pack',
      Buffer.from(pack(parsed.value)).toString('hex'),
      Buffer.from(input).toString('hex'),
    ) ??
    differ('isStandard', isStandard(parsed.value), c.isStandard) ??
    differ('minimized', short.ok ? texts(short.value) : '', c.minimized) ??
    differ('standardized', standard.ok ? texts(standard.value) : '', c.standardized)
  );
}

/** The tree in the form of the table; nothing at all read is null. */
function treeOf(value: HujsonValue | PartialValue): unknown {
  if (value.value === undefined && value.beforeExtra === '' && value.startOffset === 0) return null;
  return {
    beforeExtra: textOf(value.beforeExtra),
    startOffset: value.startOffset,
    value: value.value === undefined ? null : nodeOf(value.value),
    endOffset: value.endOffset,
    afterExtra: textOf(value.afterExtra ?? ''),
  };
}

function nodeOf(node: HujsonNode): unknown {
  switch (node.kind) {
    case 'literal':
      return { literal: textOf(node.text) };
    case 'object': {
      const members = node.members.map(({ name, value }) => [treeOf(name), treeOf(value)]);
      return { object: { members, afterExtra: textOf(node.afterExtra) } };
    }
    case 'array':
      return {
        array: {
          elements: node.elements.map((element) => treeOf(element)),
          afterExtra: textOf(node.afterExtra),
        },
      };
  }
}

function judgeRewrite(c: Case): string | undefined {
  const rewrite = { format, minimize, standardize }[c.operation ?? 'format'];
  if (rewrite === undefined) return `unknown operation ${String(c.operation)}`;
  const input = inputOf(c);
  const got = rewrite(input);
  if (c.error === true) {
    return got.ok ? 'accepted' : differ('unchanged', texts(input), c.expected ?? texts(input));
  }
  if (!got.ok) return got.error.message;
  const again = rewrite(got.value);
  return (
    differ('text', texts(got.value), c.expected) ??
    differ('again', again.ok ? texts(again.value) : again.error.message, texts(got.value))
  );
}

function judgePatch(c: Case): string | undefined {
  const root = parse(inputOf(c));
  if (!root.ok) return root.error.message;
  const before = packText(root.value);
  const patched = patch(root.value, c.patch ?? '');
  const error = patched.ok ? null : patched.error.message;
  const after = patched.ok ? patched.value : patched.error.partial;
  return (
    differ('error', error, c.error) ??
    differ('the original changed', packText(root.value), before) ??
    (typeof c.expected === 'string' ? differ('text', texts(pack(after)), c.expected) : undefined)
  );
}

function judgeFind(c: Case, document: string): string | undefined {
  const root = parse(document);
  if (!root.ok) return root.error.message;
  const value = find(root.value, c.pointer ?? '');
  if (value === undefined || c.found !== true) {
    return differ('found', value !== undefined, c.found === true);
  }
  const plain: unknown = JSON.parse(JSON.stringify(plainValue(value).value));
  return differ('value', plain, c.value);
}

function judgeWalk(input: string, visited: readonly string[]): string | undefined {
  const root = parse(input);
  if (!root.ok) return root.error.message;
  const got = [...walk(root.value)].map((value) => textOf(packText(value)));
  return (
    differ('visited', got, visited) ?? differ('bytes', texts(bytesOf(packText(root.value))), input)
  );
}

/** The operations of a JSON patch. The patch may itself be HuJSON: comments around a value come along. */
import { goQuote } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import { leadingComments, trailingComments } from './comments.ts';
import { isStringLiteral, literalText } from './literal.ts';
import { parse } from './parse.ts';
import type { HujsonObject, HujsonValue } from './tree.ts';

export type PatchOperation =
  | ValueOperation
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

/** The operations that bring a value. */
export interface ValueOperation {
  readonly op: 'add' | 'replace' | 'test';
  readonly path: string;
  readonly value: HujsonValue;
}

type OperationName = PatchOperation['op'];

const operationNames: ReadonlySet<string> = new Set<OperationName>([
  'add',
  'remove',
  'replace',
  'move',
  'copy',
  'test',
]);

function isOperationName(text: string): text is OperationName {
  return operationNames.has(text);
}

/** Reads a whole patch before anything is applied. Errors are the texts of the original. */
export function parsePatch(input: Uint8Array | string): Result<readonly PatchOperation[], string> {
  const root = parse(input);
  if (!root.ok) return err(root.error.message);
  const list = root.value.value;
  if (list.kind !== 'array') return err('hujson: patch must be a JSON array');
  const operations: PatchOperation[] = [];
  for (const [i, element] of list.elements.entries()) {
    const operation =
      element.value.kind === 'object' ? readOperation(element.value) : err('must be a JSON object');
    if (!operation.ok) return err(`hujson: patch operation ${i}: ${operation.error}`);
    operations.push(operation.value);
  }
  return ok(operations);
}

interface Fields {
  op?: OperationName;
  path?: string;
  from?: string;
  value?: HujsonValue;
}

function readOperation(object: HujsonObject): Result<PatchOperation, string> {
  const fields: Fields = {};
  const seen = new Set<string>();
  for (const [i, member] of object.members.entries()) {
    const name = textIn(member.name) ?? '';
    if (seen.has(name)) return err(`duplicate name ${goQuote(name)}`);
    seen.add(name);
    if (name === 'value') {
      fields.value = valueWithComments(object, i, member.value);
    } else if (name === 'op' || name === 'path' || name === 'from') {
      const text = textIn(member.value);
      if (text === undefined) return err(`member ${goQuote(name)} must be a JSON string`);
      if (name !== 'op') fields[name] = text;
      else if (isOperationName(text)) fields.op = text;
      else return err(`unknown operation ${goQuote(text)}`);
    }
  }
  return complete(fields);
}

/** What the string says; undefined for anything that is not a string. */
function textIn({ value }: HujsonValue): string | undefined {
  return value.kind === 'literal' && isStringLiteral(value.text)
    ? literalText(value.text)
    : undefined;
}

function valueWithComments(object: HujsonObject, i: number, value: HujsonValue): HujsonValue {
  const before = object.members[i]?.name.beforeExtra ?? '';
  const after = object.members[i + 1]?.name.beforeExtra ?? object.afterExtra;
  return {
    ...value,
    beforeExtra: leadingComments(before).comments,
    afterExtra: trailingComments(after).comments,
  };
}

function complete({ op, path, from, value }: Fields): Result<PatchOperation, string> {
  const missing = (name: string): Result<never, string> =>
    err(`missing required member ${goQuote(name)}`);
  if (op === undefined) return missing('op');
  if (path === undefined) return missing('path');
  switch (op) {
    case 'move':
    case 'copy':
      return from === undefined ? missing('from') : ok({ op, path, from });
    case 'remove':
      return ok({ op, path });
    case 'add':
    case 'replace':
    case 'test':
      return value === undefined ? missing('value') : ok({ op, path, value });
  }
}

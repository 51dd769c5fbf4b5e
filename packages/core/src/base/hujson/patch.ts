/** JSON patch (RFC 6902) on the tree, comments going with the values they belong to. */
import { goQuote } from '../quote.ts';
import { err, ok, type Result } from '../result.ts';
import {
  joinAround,
  leadingComments,
  trailingComments,
  withLeadingComments,
  withTrailingComments,
} from './comments.ts';
import type { ByteText } from './byte-text.ts';
import { type Place, resolve } from './find.ts';
import { stringLiteral } from './literal.ts';
import { updateOffsets } from './pack.ts';
import { decodeEqual } from './plain.ts';
import { parsePatch, type PatchOperation } from './patch-parse.ts';
import {
  bareValue,
  cloneNode,
  cloneValue,
  type HujsonComposite,
  type HujsonNode,
  type HujsonValue,
  lengthOf,
  walk,
} from './tree.ts';

export interface PatchError {
  readonly message: string;
  /** The document with the operations before the refused one, and possibly a part of it, applied. */
  readonly partial: HujsonValue;
}

/** The document with every operation applied, or the first refusal. `root` itself never changes. */
export function patch(
  root: HujsonValue,
  operations: Uint8Array | string,
): Result<HujsonValue, PatchError> {
  const parsed = parsePatch(operations);
  if (!parsed.ok) return err({ message: parsed.error, partial: root });
  let document = cloneValue(root);
  for (const [i, operation] of parsed.value.entries()) {
    const applied = apply(document, operation);
    document = applied.document;
    if (applied.refusal !== undefined) {
      updateOffsets(document);
      const message = `hujson: patch operation ${i}: ${applied.refusal}`;
      return err({ message, partial: document });
    }
  }
  updateOffsets(document);
  return ok(document);
}

interface Applied {
  readonly document: HujsonValue;
  readonly refusal?: string;
}

function apply(document: HujsonValue, operation: PatchOperation): Applied {
  switch (operation.op) {
    case 'add':
      return add(document, operation.path, operation.value);
    case 'remove':
      return remove(document, operation.path);
    case 'replace':
      return replace(document, operation.path, operation.value);
    case 'move':
    case 'copy':
      return moveOrCopy(document, operation);
    case 'test': {
      const place = resolve(document, operation.path);
      if (!place.ok) return { document, refusal: place.error.message };
      if (decodeEqual(place.value.value, operation.value)) return { document };
      return { document, refusal: `values differ at ${goQuote(operation.path)}` };
    }
  }
}

function add(document: HujsonValue, path: string, value: HujsonValue): Applied {
  const place = resolve(document, path);
  const spot = place.ok ? place.value : place.error.vacant;
  if (spot === undefined) return { document, refusal: place.ok ? '' : place.error.message };
  if (spot.parent === undefined) return { document: value };
  if (spot.parent.kind === 'object' && place.ok) replaceAt(spot.parent, spot.index, value);
  else insertAt(spot.parent, spot.index, spot.name, value);
  return { document };
}

function remove(document: HujsonValue, path: string): Applied {
  const place = resolve(document, path);
  if (!place.ok) return { document, refusal: place.error.message };
  const { parent, index } = place.value;
  if (parent === undefined) return { document, refusal: 'cannot remove root value' };
  removeAt(parent, index);
  return { document };
}

function replace(document: HujsonValue, path: string, value: HujsonValue): Applied {
  const place = resolve(document, path);
  if (!place.ok) return { document, refusal: place.error.message };
  const { parent, index } = place.value;
  if (parent === undefined) return { document, refusal: 'cannot replace root value' };
  replaceAt(parent, index, value);
  return { document };
}

function moveOrCopy(
  document: HujsonValue,
  { op, from, path }: Extract<PatchOperation, { op: 'move' | 'copy' }>,
): Applied {
  if (from === '' || (op === 'move' && isInside(path, from))) {
    return { document, refusal: `cannot ${op} ${goQuote(from)} into ${goQuote(path)}` };
  }
  const place = resolve(document, from);
  if (!place.ok) return { document, refusal: place.error.message };
  const value = op === 'move' ? takeFrom(place.value) : copyFrom(place.value);
  return value === undefined
    ? { document, refusal: `cannot ${op} root value` }
    : add(document, path, value);
}

function takeFrom({ parent, index }: Place): HujsonValue | undefined {
  return parent === undefined ? undefined : removeAt(parent, index);
}

function copyFrom({ parent, index, value }: Place): HujsonValue | undefined {
  if (parent === undefined) return undefined;
  return {
    ...bareValue(copyNode(value.value)),
    beforeExtra: leadingComments(extraAt(parent, index)).comments,
    afterExtra: trailingComments(extraAt(parent, index + 1)).comments,
  };
}

/** A copy without the trailing commas that nothing precedes: the original loses them when it copies. */
function copyNode(node: HujsonNode): HujsonNode {
  const copy = cloneNode(node);
  for (const value of walk(bareValue(copy))) {
    if (value.afterExtra === '') value.afterExtra = undefined;
  }
  return copy;
}

function isInside(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/** What stands before entry `i`; for `i` = length, what stands before the closing bracket. */
export function extraAt(composite: HujsonComposite, i: number): ByteText {
  const entry = composite.kind === 'object' ? composite.members[i]?.name : composite.elements[i];
  return entry?.beforeExtra ?? composite.afterExtra;
}

function setExtraAt(composite: HujsonComposite, i: number, extra: ByteText): void {
  const entry = composite.kind === 'object' ? composite.members[i]?.name : composite.elements[i];
  if (entry === undefined) composite.afterExtra = extra;
  else entry.beforeExtra = extra;
}

/** The comments that `value` brings take the place of those that the old value had, if it brings any. */
function injectComments(composite: HujsonComposite, i: number, value: HujsonValue): void {
  setExtraAt(composite, i, withLeadingComments(extraAt(composite, i), value.beforeExtra));
  const after = withTrailingComments(extraAt(composite, i + 1), value.afterExtra ?? '');
  setExtraAt(composite, i + 1, after);
}

function replaceAt(composite: HujsonComposite, i: number, value: HujsonValue): void {
  injectComments(composite, i, value);
  const entry = composite.kind === 'object' ? composite.members[i]?.value : composite.elements[i];
  if (entry !== undefined) entry.value = value.value;
}

function insertAt(composite: HujsonComposite, i: number, name: string, value: HujsonValue): void {
  const content = bareValue(value.value);
  if (composite.kind === 'object') {
    const literal: HujsonNode = { kind: 'literal', text: stringLiteral(name) };
    composite.members.splice(i, 0, { name: bareValue(literal), value: content });
  } else {
    composite.elements.splice(i, 0, content);
  }
  // The comment on the line of the entry before stays with that entry.
  const { comments, rest } = trailingComments(extraAt(composite, i + 1));
  setExtraAt(composite, i + 1, rest);
  setExtraAt(composite, i, withTrailingComments(extraAt(composite, i), comments));
  injectComments(composite, i, value);
}

function removeAt(composite: HujsonComposite, i: number): HujsonValue | undefined {
  if (i >= lengthOf(composite)) return undefined;
  const leading = leadingComments(extraAt(composite, i));
  const trailing = trailingComments(extraAt(composite, i + 1));
  setExtraAt(composite, i + 1, joinAround(leading.rest, trailing.rest));
  const [removed] =
    composite.kind === 'object'
      ? composite.members.splice(i, 1).map((member) => member.value)
      : composite.elements.splice(i, 1);
  if (removed === undefined) return undefined;
  return {
    ...bareValue(removed.value),
    beforeExtra: leading.comments,
    afterExtra: trailing.comments,
  };
}

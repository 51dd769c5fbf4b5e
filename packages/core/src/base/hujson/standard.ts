/** From HuJSON to standard JSON (RFC 8259). The functions that end in `InPlace` change the tree they are given. */
import type { ByteText } from './byte-text.ts';
import { hasComment } from './extra.ts';
import { updateOffsets } from './pack.ts';
import {
  childrenOf,
  cloneValue,
  hasTrailingComma,
  type HujsonValue,
  lastValueOf,
  setTrailingComma,
} from './tree.ts';

/** Whether the document is standard JSON: no comments, no trailing commas. */
export function isStandard(value: HujsonValue): boolean {
  const node = value.value;
  if (hasComment(value.beforeExtra) || hasComment(value.afterExtra ?? '')) return false;
  if (node.kind === 'literal') return true;
  return (
    !hasTrailingComma(node) && !hasComment(node.afterExtra) && childrenOf(node).every(isStandard)
  );
}

/** Comments and trailing commas become spaces, so that lines and byte offsets stay what they were. */
export function standardized(value: HujsonValue): HujsonValue {
  const copy = cloneValue(value);
  standardizeInPlace(copy);
  updateOffsets(copy);
  return copy;
}

/** No white space, no comments, no trailing commas. */
export function minimized(value: HujsonValue): HujsonValue {
  const copy = cloneValue(value);
  minimizeInPlace(copy);
  updateOffsets(copy);
  return copy;
}

function standardizeInPlace(value: HujsonValue): void {
  const node = value.value;
  value.beforeExtra = blank(value.beforeExtra);
  if (node.kind !== 'literal') {
    for (const child of childrenOf(node)) standardizeInPlace(child);
    const last = lastValueOf(node);
    if (last?.afterExtra !== undefined) {
      node.afterExtra = `${last.afterExtra} ${node.afterExtra}`;
      last.afterExtra = undefined;
    }
    node.afterExtra = blank(node.afterExtra);
  }
  if (value.afterExtra !== undefined) value.afterExtra = blank(value.afterExtra);
}

function blank(extra: ByteText): ByteText {
  return extra.replaceAll(/[^ \t\r\n]/g, ' ');
}

function minimizeInPlace(value: HujsonValue): void {
  const node = value.value;
  value.beforeExtra = '';
  if (node.kind !== 'literal') {
    for (const child of childrenOf(node)) minimizeInPlace(child);
    setTrailingComma(node, false);
    node.afterExtra = '';
  }
  value.afterExtra = undefined;
}

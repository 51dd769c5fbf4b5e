/** Tree to text. */
import { type ByteText, bytesOf } from './byte-text.ts';
import { hasTrailingComma, type HujsonComposite, type HujsonValue, lengthOf } from './tree.ts';

/** The bytes of the document. For a tree straight from `parse` they are exactly its input. */
export function pack(value: HujsonValue): Uint8Array {
  return bytesOf(packText(value));
}

export function packText(value: HujsonValue): ByteText {
  const parts: ByteText[] = [];
  append(value, parts);
  return parts.join('');
}

function append(value: HujsonValue, parts: ByteText[]): void {
  parts.push(value.beforeExtra);
  const node = value.value;
  if (node.kind === 'literal') {
    parts.push(node.text);
  } else if (node.kind === 'object') {
    parts.push('{');
    node.members.forEach((member, i) => {
      append(member.name, parts);
      parts.push(':');
      append(member.value, parts);
      if (commaAfter(node, i)) parts.push(',');
    });
    parts.push(node.afterExtra, '}');
  } else {
    parts.push('[');
    node.elements.forEach((element, i) => {
      append(element, parts);
      if (commaAfter(node, i)) parts.push(',');
    });
    parts.push(node.afterExtra, ']');
  }
  parts.push(value.afterExtra ?? '');
}

function commaAfter(composite: HujsonComposite, i: number): boolean {
  return i < lengthOf(composite) - 1 || hasTrailingComma(composite);
}

/** Sets every offset to where the value stands when the tree is packed. */
export function updateOffsets(value: HujsonValue, start = 0): number {
  const node = value.value;
  let at = start + value.beforeExtra.length;
  value.startOffset = at;
  if (node.kind === 'literal') {
    at += node.text.length;
  } else {
    at += 1;
    if (node.kind === 'object') {
      node.members.forEach((member, i) => {
        at = updateOffsets(member.name, at) + 1;
        at = updateOffsets(member.value, at) + (commaAfter(node, i) ? 1 : 0);
      });
    } else {
      node.elements.forEach((element, i) => {
        at = updateOffsets(element, at) + (commaAfter(node, i) ? 1 : 0);
      });
    }
    at += node.afterExtra.length + 1;
  }
  value.endOffset = at;
  return at + (value.afterExtra?.length ?? 0);
}

/** From the text of a policy file, with comments and trailing commas, to a source tree with exact places. */
import {
  type HujsonDocument,
  type HujsonMember,
  type HujsonValue,
  isStringLiteral,
  literalText,
  parseDocument,
} from '../../base/hujson/index.ts';
import { findingsMax, policyBytesMax } from './limits.ts';
import { Findings } from './finding.ts';
import { type ParsedPolicy, parsePolicySource, parsePolicyValue } from './parse.ts';
import { type Position, pointerStep, type SourceMember, type SourceValue } from './source.ts';

/** Reads a policy file. A text that is not HuJSON gives one finding with its position and an empty file. */
export function parsePolicyText(text: Uint8Array | string): ParsedPolicy {
  if (text.length > policyBytesMax) {
    return refused('limit', { line: 1, column: 1 }, `a policy has at most ${policyBytesMax} bytes`);
  }
  const document = parseDocument(text);
  if (!document.ok) {
    const { line, column, message } = document.error;
    return refused('syntax', { line, column }, `line ${line}, column ${column}: ${message}`);
  }
  return parsePolicySource(sourceOfDocument(document.value));
}

function refused(
  code: 'limit' | 'syntax',
  place: { readonly line: number; readonly column: number },
  message: string,
): ParsedPolicy {
  const findings = new Findings(findingsMax);
  findings.error(code, { pointer: '', ...place }, message);
  const { file } = parsePolicyValue({});
  return { file, findings: findings.list, accepted: false, refusal: message };
}

export function sourceOfDocument(document: HujsonDocument): SourceValue {
  return sourceOf(document, document.root, '');
}

function sourceOf(document: HujsonDocument, value: HujsonValue, pointer: string): SourceValue {
  const at = positionOf(document, value, pointer);
  const node = value.value;
  switch (node.kind) {
    case 'array': {
      const items = node.elements.map((item, i) =>
        sourceOf(document, item, pointerStep(pointer, i)),
      );
      return { kind: 'array', items, at };
    }
    case 'object': {
      const members = node.members.map((member) => memberOf(document, member, pointer));
      return { kind: 'object', members, at };
    }
    case 'literal':
      return scalarOf(node.text, at);
  }
}

function memberOf(document: HujsonDocument, member: HujsonMember, pointer: string): SourceMember {
  const node = member.name.value;
  const name = node.kind === 'literal' ? literalText(node.text) : '';
  const step = pointerStep(pointer, name);
  return {
    name,
    at: positionOf(document, member.name, step),
    value: sourceOf(document, member.value, step),
  };
}

function scalarOf(text: string, at: Position): SourceValue {
  if (isStringLiteral(text)) return { kind: 'string', value: literalText(text), at };
  if (text === 'null') return { kind: 'null', at };
  if (text === 'true' || text === 'false') return { kind: 'boolean', value: text === 'true', at };
  return { kind: 'number', value: Number(text), at };
}

function positionOf(document: HujsonDocument, value: HujsonValue, pointer: string): Position {
  const { line, column } = document.positionAt(value.startOffset);
  return { pointer, line, column };
}

import type { JsonObject } from '../base/index.ts';
import { raise, raiseUnsupported } from './attempt.ts';
import type { DialectName, Part } from './model.ts';

/** Parts that no message of a person or a tool can hold, in whichever format. */
export type UnsayablePart = Extract<
  Part,
  { kind: 'foreign' | 'thinking' | 'redacted-thinking' | 'tool-call' | 'tool-result' }
>;

/** What only this format knows passes as it came; every other such part is refused by its path. */
export function ownOrRefused(part: UnsayablePart, path: string, dialect: DialectName): JsonObject {
  if (part.kind !== 'foreign') {
    return raise('invalid_request', `${path} cannot stand in a message of this role.`, {
      param: path,
    });
  }
  return part.dialect === dialect
    ? part.value
    : raiseUnsupported(path, 'the model that would answer does not know this kind of block.');
}

/** A document of text, for formats that have none: a heading keeps what the title said. */
export function textOfDocument(text: string, title: string | undefined): string {
  return title === undefined ? text : `${title}\n\n${text}`;
}

import type { JsonObject, Result } from '@postern/core/base';
import { ok } from '@postern/core/base';
import type { HujsonDocument, HujsonObject, HujsonValue } from '@postern/core/base/hujson';
import { literalText, minimized, packText, parseDocument, textOf } from '@postern/core/base/hujson';
import type { Refusal } from '@postern/core/errors';
import { refuse } from '@postern/core/errors';
import { mcpLimits } from '../limits.ts';

/** Characters of one rule in an outline: its sources and destinations are at its beginning. */
const gistCharsMax = 160;

/** Sections with the lines of what is in them: all of a policy that a model needs before it reads one part. */
export function outlineOf(text: string, section: string | undefined): Result<JsonObject, Refusal> {
  const read = readPolicy(text);
  if (!read.ok) return read;
  const { document, root } = read.value;
  const members = root.members.filter(
    ({ name }) => section === undefined || nameOf(name) === section,
  );
  if (section !== undefined && members.length === 0) return noSection(root, section);
  return ok({
    sections: members.map(({ name, value }) => ({
      section: nameOf(name),
      line: lineOf(document, name),
      entries: entriesOf(document, value).slice(0, mcpLimits.rowsMax),
      count: countOf(value),
    })),
  });
}

/** A section, or the whole file, as it is written or without comments. */
export function sectionOf(
  text: string,
  section: string | undefined,
  format: 'hujson' | 'json',
): Result<JsonObject, Refusal> {
  const read = readPolicy(text);
  if (!read.ok) return read;
  const { document, root } = read.value;
  const found =
    section === undefined
      ? document.root
      : root.members.find(({ name }) => nameOf(name) === section)?.value;
  if (found === undefined) return noSection(root, section ?? '');
  const shown = textOf(packText(format === 'json' ? minimized(found) : found)).trim();
  if (shown.length > mcpLimits.documentCharsMax) {
    return refuse(
      'invalid_request',
      `This has ${shown.length} characters; read one section at a time, or its outline.`,
      { param: 'section' },
    );
  }
  return ok({
    ...(section === undefined ? {} : { section }),
    line: lineOf(document, found),
    text: shown,
  });
}

function readPolicy(
  text: string,
): Result<{ readonly document: HujsonDocument; readonly root: HujsonObject }, Refusal> {
  const document = parseDocument(text);
  if (!document.ok || document.value.root.value.kind !== 'object') {
    return refuse('invalid_request', 'The policy cannot be read as an object.');
  }
  return ok({ document: document.value, root: document.value.root.value });
}

function noSection(root: HujsonObject, section: string): Result<never, Refusal> {
  const names = root.members.map(({ name }) => nameOf(name)).join(', ');
  return refuse('not_found', `There is no section ${section}; there are ${names}.`, {
    param: 'section',
  });
}

function nameOf({ value }: HujsonValue): string {
  return value.kind === 'literal' ? literalText(value.text) : '';
}

function lineOf(document: HujsonDocument, value: HujsonValue): number {
  return document.positionAt(value.startOffset).line;
}

function countOf({ value }: HujsonValue): number {
  if (value.kind === 'literal') return 1;
  return value.kind === 'object' ? value.members.length : value.elements.length;
}

function entriesOf(document: HujsonDocument, { value }: HujsonValue): readonly JsonObject[] {
  if (value.kind === 'literal') return [];
  if (value.kind === 'object') {
    return value.members.map(({ name }) => ({ name: nameOf(name), line: lineOf(document, name) }));
  }
  return value.elements.map((element, index) => ({
    name: String(index),
    line: lineOf(document, element),
    gist: textOf(packText(minimized(element))).slice(0, gistCharsMax),
  }));
}

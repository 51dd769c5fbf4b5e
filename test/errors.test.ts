import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errorTable } from '@postern/core/errors';
import { describe, expect, test } from 'vitest';
import { refusalCases } from './conformance/refusal-cases.ts';

const root = path.resolve(import.meta.dirname, '..');
const codes = Object.keys(errorTable).toSorted();

describe('the table of refusals', () => {
  test('is the reference page, both ways', () => {
    const page = readFileSync(path.join(root, 'docs/reference/errors.md'), 'utf8');
    const headings = [...page.matchAll(/^### `(?<code>[a-z_]+)`$/gm)];
    const described = headings.map((match) => match.groups?.['code'] ?? '');
    expect(described.toSorted()).toEqual(codes);
  });

  test('is what the conformance suite produces over the wire, both ways', () => {
    expect(Object.keys(refusalCases).toSorted()).toEqual(codes);
  });

  test('has one meaning and one way on for each code, and they end in a full stop', () => {
    for (const { meaning, fix } of Object.values(errorTable)) {
      expect(meaning).toMatch(/\.$/);
      expect(fix).toMatch(/\.$/);
    }
    const meanings = Object.values(errorTable).map(({ meaning }) => meaning);
    expect(new Set(meanings).size).toBe(meanings.length);
  });
});

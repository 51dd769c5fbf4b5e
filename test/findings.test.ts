/** What findings and steps tell people to type is there to be typed. */
import { checkLines, doctorRows, networkFindingKinds, stepRows } from '@postern/server/ops';
import { describe, expect, test } from 'vitest';
import { commands } from '../packages/postern/src/commands/index.ts';

const paths = new Set(commands.map(({ path }) => path));
const flagsOf = new Map(
  commands.map(({ path, options = [] }) => [
    path,
    new Set(options.flatMap(({ flags }) => /--[a-z-]+/.exec(flags)?.[0] ?? [])),
  ]),
);
const everywhere = new Set(['--json', '--state', '--config', '--help']);

interface Typed {
  readonly path: string;
  readonly flags: readonly string[];
}

/** `postern` with its words, as far as they are words, and its flags. */
function commandsIn(text: string): readonly Typed[] {
  return [...text.matchAll(/\bpostern ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)([^;,`.|&)]*)/g)].map(
    ([, words = '', rest = '']) => {
      const parts = words.split(' ');
      const path = [3, 2, 1]
        .map((length) => parts.slice(0, length).join(' '))
        .find((each) => paths.has(each));
      return { path: path ?? words, flags: [...rest.matchAll(/--[a-z-]+/g)].map(([flag]) => flag) };
    },
  );
}

const texts = [
  ...[...checkLines, ...doctorRows, ...networkFindingKinds].map(({ id, next }) => [id, next]),
  ...stepRows.map(({ name, example }) => [name, example]),
].filter(([, text]) => text?.includes('postern ') === true);

describe('what to type next', () => {
  test.each(texts)('of %s: %s', (_id, text) => {
    const typed = commandsIn(text ?? '');
    for (const { path, flags } of typed) {
      expect(paths.has(path), path).toBe(true);
      const known = flagsOf.get(path);
      for (const flag of flags)
        expect(known?.has(flag) === true || everywhere.has(flag), `${path} ${flag}`).toBe(true);
    }
  });

  test('is told by tables with ids that nobody has twice', () => {
    for (const table of [checkLines, doctorRows, networkFindingKinds])
      expect(new Set(table.map(({ id }) => id)).size).toBe(table.length);
  });
});

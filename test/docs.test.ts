import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseDocument } from '@postern/core/base/hujson';
import { configJsonSchema, parseConfig } from '@postern/core/contract';
import { checkPolicy, parsePolicyText } from '@postern/core/policy';
import { gatewayRoutes } from '@postern/server/gateway';
import { describe, expect, test } from 'vitest';
import { commands } from '../packages/postern/src/commands/index.ts';
import { runProgram } from '../packages/postern/src/program.ts';
import { importsOf } from '../tools/checks/source-files.ts';
import { configExamples } from '../tools/docs/config-examples.ts';

const root = path.resolve(import.meta.dirname, '..');
const pages = ['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md']
  .concat(globSync('docs/**/*.md', { cwd: root }))
  .map((file) => ({ file, text: readFileSync(path.join(root, file), 'utf8') }));

/** Text outside fenced blocks. */
function prose(text: string): string {
  return text.replaceAll(/^ *```[\s\S]*?^ *```/gm, '');
}

function fences(text: string, language: string): readonly string[] {
  const found = text.matchAll(/^(?<indent> *)```(?<language>\w+)\n(?<body>[\s\S]*?)^ *```/gm);
  return [...found].flatMap(({ groups }) =>
    groups?.['language'] === language ? [groups['body'] ?? ''] : [],
  );
}

/** As GitHub makes them: lower case, no punctuation, hyphens for spaces. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = prose(text).matchAll(/^#+ (?<heading>.+)$/gm);
  return new Set(
    [...headings].map(({ groups }) =>
      (groups?.['heading'] ?? '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function problemOf(file: string, target: string): string | undefined {
  const [where = '', anchor] = target.split('#');
  const full = where === '' ? path.join(root, file) : path.resolve(root, path.dirname(file), where);
  if (!existsSync(full)) return `${file}: there is no ${target}`;
  if (anchor === undefined || statSync(full).isDirectory() || !full.endsWith('.md'))
    return undefined;
  return anchorsOf(readFileSync(full, 'utf8')).has(anchor)
    ? undefined
    : `${file}: ${target} has no such heading`;
}

/** An example with grants is a policy, any other one a configuration. */
function exampleProblems(text: string): readonly string[] {
  if (!text.includes('"grants"')) return configProblems(text);
  const { findings } = checkPolicy(parsePolicyText(text));
  return findings.map(({ message }) => message);
}

function configProblems(text: string): readonly string[] {
  const document = parseDocument(text);
  if (!document.ok) return [document.error.message];
  const parsed = parseConfig(document.value.plain.value);
  return 'issues' in parsed
    ? parsed.issues.map((issue) => `${issue.pointer}: ${issue.message}`)
    : [];
}

describe('links', () => {
  test.each(pages)('of $file lead somewhere', ({ file, text }) => {
    const targets = [...prose(text).matchAll(/\]\((?<target>[^)\s]+)\)/g)].map(
      ({ groups }) => groups?.['target'] ?? '',
    );
    const own = targets.filter((target) => !/^(?:https?|mailto):/.test(target));
    expect(
      own.map((target) => problemOf(file, target)).filter((problem) => problem !== undefined),
    ).toEqual([]);
  });
});

describe('configurations and policies in the docs', () => {
  test('have an example for every top-level key, and each is valid', () => {
    const { properties } = configJsonSchema();
    // The schema of a strict object has its keys as properties.
    const keys = Object.keys(properties as object).filter((key) => key !== '$schema');
    expect(Object.keys(configExamples).toSorted()).toEqual(keys.toSorted());
    for (const [key, example] of Object.entries(configExamples)) {
      expect([key, configProblems(example)]).toEqual([key, []]);
      expect(example).toContain(`"${key}"`);
    }
  });

  test.each(pages.filter(({ text }) => fences(text, 'jsonc').length > 0))(
    'of $file are valid',
    ({ text }) => {
      for (const example of fences(text, 'jsonc'))
        expect([example, exampleProblems(example)]).toEqual([example, []]);
    },
  );
});

describe('commands in the docs', () => {
  const known = new Set(commands.map(({ path: words }) => words));
  const nouns = new Set(commands.map(({ path: words }) => words.split(' ')[0]));

  test('have the global options that the help shows, and no others', async () => {
    const help: string[] = [];
    const keep = (text: string): void => {
      help.push(text);
    };
    await runProgram(['--help'], {
      writeOut: keep,
      writeErr: keep,
      readInput: async () => undefined,
      isTerminal: false,
      isInteractive: false,
      env: {},
    });
    const page = pages.find(({ file }) => file === 'docs/reference/cli.md')?.text ?? '';
    const section = page.split('## Global options')[1]?.split('## ')[0] ?? '';
    const options = /\nOptions:\n(?<options>[\s\S]*?)\n\n/.exec(help.join(''))?.groups?.['options'];
    const flags = (text: string): readonly string[] => [
      ...new Set([...text.matchAll(/(?<=[ `])--[a-z]+/g)].map(([flag]) => flag)),
    ];
    expect(flags(section).toSorted()).toEqual(flags(options ?? '').toSorted());
  });

  test.each(pages)('of $file exist', ({ text }) => {
    const lines = fences(text, 'sh').flatMap((block) => block.split('\n'));
    const calls = lines.flatMap((line) => [
      ...line.matchAll(
        /(?:^|[(|] *|-- )postern (?<first>[a-z]+)(?: (?<second>[a-z]+(?:-[a-z]+)*))?(?: (?<third>[a-z]+))?/g,
      ),
    ]);
    for (const { groups } of calls) {
      const first = groups?.['first'] ?? '';
      expect(nouns.has(first), `postern ${first}`).toBe(true);
      const two = `${first} ${groups?.['second']}`;
      const three = `${two} ${groups?.['third']}`;
      expect(
        [first, two, three].some((words) => known.has(words)),
        first,
      ).toBe(true);
    }
  });
});

describe('the dependency page', () => {
  const page = readFileSync(path.join(root, 'docs/explanation/dependencies.md'), 'utf8');
  const rows = [...page.matchAll(/^\| `(?<name>[^`]+)` \| (?<count>\d+) \|/gm)];

  test('has a row for every dependency of every package.json, and no other', () => {
    const files = ['package.json', ...globSync('packages/*/package.json', { cwd: root })];
    const named = new Set(
      files.flatMap((file) => {
        // A package.json is an object; only the three lists of it are looked at.
        const manifest = JSON.parse(readFileSync(path.join(root, file), 'utf8')) as Partial<
          Record<string, Record<string, string>>
        >;
        return ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((list) =>
          Object.keys(manifest[list] ?? {}),
        );
      }),
    );
    const outside = [...named].filter((name) => !name.startsWith('@postern/'));
    const described = rows.map(({ groups }) => groups?.['name'] ?? '');
    expect(described.toSorted()).toEqual(outside.toSorted());
  });

  const atRunTime = page.slice(page.indexOf('## At run time'), page.indexOf('## For development'));
  const runTimeRows = [
    ...atRunTime.matchAll(/^\| `(?<name>[^`]+)` \|[^|]*\|[^|]*\|(?<places>[^|]*)\|/gm),
  ];
  const sources = globSync('packages/*/src/**/*.ts', { cwd: root })
    .filter((file) => !/\.test(?:-data)?\.ts$|\.d\.ts$/.test(file))
    .map((file) => ({
      place: file.replace(/^packages\//, '').replace('/src/', '/'),
      imports: importsOf(readFileSync(path.join(root, file), 'utf8')),
    }));

  test.each(runTimeRows.map(({ groups }) => [groups?.['name'] ?? '', groups?.['places'] ?? '']))(
    'says where %s is imported, and all of it',
    (name, words) => {
      const said = [...words.matchAll(/`(?<place>(?:core|server|postern)\/[\w/.-]+)`/g)].map(
        ({ groups }) => groups?.['place']?.replace('/src/', '/') ?? '',
      );
      const found = sources
        .filter(({ imports }) =>
          imports.some((each) => each === name || each.startsWith(`${name}/`)),
        )
        .map(({ place }) => place);
      expect(found.filter((file) => !said.some((place) => file.startsWith(place)))).toEqual([]);
      expect(said.filter((place) => !found.some((file) => file.startsWith(place)))).toEqual([]);
    },
  );
});

describe('routes in the docs', () => {
  const served = new Set(gatewayRoutes.map(({ path: route }) => route));
  const people = pages.filter(({ file }) => /^(?:README|docs\/(?:tutorial|howto))/.test(file));

  test.each(people)('of $file are served', ({ text }) => {
    const named = [...text.matchAll(/(?<![\w/.])(?:127\.0\.0\.1:8080)?(?<route>\/v1\/[a-z_/]+)/g)];
    const absent = named
      .map(({ groups }) => groups?.['route'] ?? '')
      .filter((route) => !served.has(route));
    expect(absent).toEqual([]);
  });
});

test('no page names a place of the machine that it was written on', () => {
  const found = pages.filter(({ text }) => /\/(?:work|root|home\/\w+)\/(?!\.)/.test(text));
  expect(found.map(({ file }) => file)).toEqual([]);
});

import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runTestFile } from '../../tools/deploy/terraform/index.ts';

// By `require`: its types bring the browser's globals into every file of the program.
const { parse } = createRequire(import.meta.url)('@cdktf/hcl2json') as {
  readonly parse: (file: string, text: string) => Promise<unknown>;
};

const base = path.resolve(import.meta.dirname, '../../deploy/terraform');
const all = readdirSync(base, { recursive: true, encoding: 'utf8' });
const testFiles = all.filter((file) => file.endsWith('.tftest.hcl')).toSorted();

const folders = new Map<string, Record<string, unknown>>();
for (const file of all.filter((each) => each.endsWith('.tf')).toSorted()) {
  const name = path.join(base, path.dirname(file));
  const text = readFileSync(path.join(base, file), 'utf8');
  // oxlint-disable-next-line no-await-in-loop -- once, before the tests
  folders.set(name, joined(folders.get(name) ?? {}, await parse(file, text)));
}

/** All files of a folder as one: lists of the same blocks are joined. */
function joined(into: Record<string, unknown>, from: unknown): Record<string, unknown> {
  const made: Record<string, unknown> = { ...into };
  for (const [key, value] of Object.entries(from as Record<string, unknown>)) {
    const before = made[key];
    if (Array.isArray(value)) made[key] = [...((before as unknown[] | undefined) ?? []), ...value];
    else if (typeof value === 'object' && value !== null)
      made[key] = joined((before as Record<string, unknown> | undefined) ?? {}, value);
    else made[key] = value;
  }
  return made;
}

async function results(file: string, change: (text: string) => string = (text) => text) {
  const text = change(readFileSync(path.join(base, file), 'utf8'));
  const root = path.join(base, path.dirname(path.dirname(file)));
  return runTestFile(
    root,
    await parse(file, text),
    (folder) => folders.get(path.normalize(folder)) ?? {},
  );
}

/** `terraform test` needs the providers of a registry; here the same files are run over our own graph of the plan. */
describe('the test files of Terraform', () => {
  test.each(testFiles)('%s passes, run by run', async (file) => {
    const runs = await results(file);
    expect(runs.length).toBeGreaterThan(1);
    expect(runs.filter(({ failures }) => failures.length > 0)).toEqual([]);
  });

  test('there is one for each root', () => {
    expect(testFiles).toEqual([
      'roots/private-gateway/tests/private-gateway.tftest.hcl',
      'roots/production/tests/production.tftest.hcl',
    ]);
  });

  test('a file that asserts what is not so fails, with its own sentence', async () => {
    const [file = ''] = testFiles;
    const runs = await results(file, (text) => text.replace('"100.64.0.0/10"', '"10.0.0.0/8"'));
    expect(runs.flatMap(({ failures }) => failures)).toEqual([
      'With SNAT off, answers to the tailnet go back through the router.',
    ]);
  });

  test('a refusal that is expected and does not come is a failure', async () => {
    const [file = ''] = testFiles;
    const runs = await results(file, (text) => text.replace('"public"', '"node"'));
    expect(runs.flatMap(({ failures }) => failures)).toEqual([
      'var.mode was expected to be refused',
    ]);
  });
});

/** The official conformance suite, both eras, against the product's handler with the suite's fixtures before it. */
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { withFixtures } from './fixtures.ts';
import { judge, judges } from './programs.ts';
import type { Stack } from './stack.ts';
import { startStack } from './stack.ts';

const suite = await judge('conformance');
const title = suite.found ? 'the conformance suite' : `skipped: ${suite.why}`;
const suiteMsMax = 600_000;

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

interface Run {
  readonly code: number;
  readonly out: string;
  /** Checks by scenario. */
  readonly checks: ReadonlyMap<string, readonly Check[]>;
}

async function run(url: string, words: readonly string[]): Promise<Run> {
  if (!suite.found) throw new Error(suite.why);
  const folder = await mkdtemp(path.join(tmpdir(), 'postern-conformance-'));
  const args = [suite.bin, 'server', '--url', url, '-o', folder, ...words];
  const done = await new Promise<{ code: number; out: string }>((resolve) => {
    execFile(
      process.execPath,
      args,
      { timeout: suiteMsMax, maxBuffer: 64 * 1_048_576, cwd: folder },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), out: stdout + stderr }),
    );
  });
  const checks = new Map(
    globSync('**/checks.json', { cwd: folder }).map((file) => [
      path
        .basename(path.dirname(file))
        .replace(/^server-/, '')
        .replace(/-\d{4}-\d\d-\d\dT.*$/, ''),
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Check[],
    ]),
  );
  await rm(folder, { recursive: true, force: true });
  return { ...done, checks };
}

function required(revision: string): readonly string[] {
  if (!suite.found) return [];
  const file = path.join(
    path.dirname(suite.bin),
    '..',
    judges.conformance.name,
    'requirements',
    `${revision}.yaml`,
  );
  const [, server = ''] = /^ *server:\n((?: {2}- .*\n)+)/m.exec(readFileSync(file, 'utf8')) ?? [];
  return [...server.matchAll(/^ {2}- (\S+)$/gm)].flatMap(([, name]) => name ?? []);
}

describe.skipIf(!suite.found)(title, () => {
  let stack: Stack;
  beforeAll(async () => {
    stack = await startStack({
      policy: '{"grants": []}',
      mount: (product, protocol) => withFixtures(product, () => protocol().notify),
    });
  });
  afterAll(() => stack.close());

  test.each(['2026-07-28', '2025-11-25'])(
    'every required scenario of %s passes',
    async (revision) => {
      const url = `http://localhost:${stack.port}/mcp`;
      const { code, out, checks } = await run(url, ['--requirements', revision]);
      const wanted = required(revision);
      expect(wanted.filter((scenario) => !checks.has(scenario))).toEqual([]);
      const failures = wanted.flatMap((scenario) =>
        (checks.get(scenario) ?? [])
          .filter(({ status }) => status === 'FAILURE')
          .map(({ id, errorMessage }) => `${scenario} ${id}: ${errorMessage ?? ''}`),
      );
      expect(failures, out.slice(-4_000)).toEqual([]);
      expect(code, out.slice(-4_000)).toBe(0);
      const passed = wanted
        .flatMap((scenario) => checks.get(scenario) ?? [])
        .filter(({ status }) => status === 'SUCCESS');
      expect(passed.length).toBeGreaterThan(wanted.length);
      process.stdout.write(
        `${revision}: ${wanted.length} scenarios, ${passed.length} checks passed\n`,
      );
      expect(stack.faults).toEqual([]);
    },
    suiteMsMax,
  );

  test('headers that belie the body are refused (not scored)', {
    timeout: suiteMsMax,
  }, async () => {
    const url = `http://localhost:${stack.port}/mcp`;
    const words = ['--scenario', 'http-header-validation', '--spec-version', '2026-07-28'];
    const { code, out } = await run(url, words);
    expect(code, out.slice(-4_000)).toBe(0);
  });
});

describe.skipIf(!suite.found)(`${title}, on the product as it is`, () => {
  const bare = [
    'tools-list',
    'resources-list',
    'prompts-list',
    'sep-2164-resource-not-found',
    'caching',
    'dns-rebinding-protection',
    'server-sse-multiple-streams',
  ];
  test.each(bare)('%s passes without any fixture', async (scenario) => {
    const stack = await startStack({ policy: '{"grants": []}' });
    const url = `http://localhost:${stack.port}/mcp`;
    const { code, out } = await run(url, ['--scenario', scenario, '--spec-version', '2026-07-28']);
    await stack.close();
    expect(code, out.slice(-4_000)).toBe(0);
  });
});

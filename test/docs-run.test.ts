import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { judgeOperator } from '@postern/core/identity';
import { createFactsReader } from '@postern/server/adapters/identity-local';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from './fakes/free-port.ts';
import { installIn, Shell, startModelServer } from './docs/shell.ts';

/** Pages whose own commands are run in order, in one shell each, against a state folder and a model server of the test. */

const root = path.resolve(import.meta.dirname, '..');
const pages = [
  'docs/tutorial/first-gateway.md',
  'docs/howto/policy.md',
  'docs/howto/gpu-box.md',
  'docs/howto/agents.md',
];

interface Block {
  readonly heading: string;
  readonly how: string;
  readonly script: string;
  /** Each line must appear in what the block printed; `…` stands for anything within a line. */
  readonly prints: readonly string[];
}

function blocksOf(text: string): readonly Block[] {
  const parts = text.split(/^## /m).slice(1);
  return parts.flatMap((part) => {
    const heading = part.slice(0, part.indexOf('\n'));
    const found = part.matchAll(
      /<!-- run(?:: (?<how>[^>]*?))? -->\n```sh\n(?<script>[\s\S]*?)\n```(?:\n\n<!-- prints -->\n```text\n(?<prints>[\s\S]*?)\n```)?/g,
    );
    return [...found].map(({ groups }) => ({
      heading,
      how: groups?.['how'] ?? '',
      script: groups?.['script'] ?? '',
      prints: (groups?.['prints'] ?? '').split('\n').filter((line) => line !== ''),
    }));
  });
}

const operator = judgeOperator(
  {
    peerAddress: '127.0.0.1',
    localOwner: { ours: true },
    sawForwarding: false,
    sawIdentityHeaders: false,
    hasConfigFile: false,
    trustLoopback: false,
  },
  await createFactsReader()(),
);
const canRun =
  spawnSync('curl', ['--version']).status === 0 && spawnSync('bash', ['--version']).status === 0;

function patternOf(line: string): RegExp {
  const parts = line.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.join('[^\\n]*'), 'i');
}

describe.skipIf(!canRun).each(pages)('%s', (page) => {
  const blocks = blocksOf(readFileSync(path.join(root, page), 'utf8'));
  const home = mkdtempSync(path.join(tmpdir(), 'postern-docs-'));
  let models: http.Server;
  let shell: Shell;
  let here = (script: string): string => script;

  beforeAll(async () => {
    models = await startModelServer();
    const port = await freePort();
    // A server that listens on TCP has an address with a port.
    const modelPort = (models.address() as AddressInfo).port;
    here = (script) =>
      script
        .replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`)
        .replaceAll('127.0.0.1:11434', `127.0.0.1:${modelPort}`);
    installIn(home);
    shell = new Shell(home, port);
  });

  afterAll(async () => {
    await shell.end();
    models.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });

  test('has commands to run', () => {
    expect(blocks.length).toBeGreaterThan(5);
  });

  for (const [index, block] of blocks.entries()) {
    const first = block.script.split('\n', 1)[0] ?? '';
    const isForOperator = block.how === 'as the local operator';
    test.skipIf(isForOperator && !operator.ok)(
      `${block.heading} (${index + 1}): ${first}`,
      async () => {
        if (block.how === 'in the background') return shell.restart(here(block.script));
        const { status, output } = await shell.run(here(block.script));
        const expected = /^ends with (?<status>\d)$/.exec(block.how)?.groups?.['status'] ?? '0';
        expect(status, output).toBe(Number(expected));
        for (const line of block.prints) expect(output).toMatch(patternOf(line));
      },
    );
  }
});

/** Commands of the how-to pages, each on a stage that is as the page says; what cannot run here says why, block by block. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../fakes/free-port.ts';
import { installIn, Shell, startModelServer } from './shell.ts';
import { notRun, stages } from './stages.ts';

const folder = path.resolve(import.meta.dirname, '../../docs/howto');
const pages = readdirSync(folder)
  .filter((file) => file.endsWith('.md'))
  .toSorted();
/** Pages whose commands are run in order by a test of their own. */
const runElsewhere = new Set(['agents.md', 'gpu-box.md', 'policy.md']);

function blocksOf(page: string): readonly string[] {
  const text = readFileSync(path.join(folder, page), 'utf8');
  return [...text.matchAll(/^```([a-z]*)\n([\s\S]*?)\n```$/gm)].flatMap(
    ([, language = '', script = '']) =>
      ['', 'sh'].includes(language) && !script.startsWith('{') ? [script] : [],
  );
}

function whyNot(page: string, script: string): string | undefined {
  return Object.entries(notRun[page] ?? {}).find(([start]) => script.startsWith(start))?.[1];
}

const hasTools = ['bash', 'curl', 'openssl', 'git'].every(
  (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0,
);

describe('every block of commands', () => {
  const known = pages.filter((page) => !runElsewhere.has(page));
  test.each(known.filter((page) => blocksOf(page).length > 0))(
    '%s: is run on a stage, or says why it is not',
    (page) => {
      const open = blocksOf(page).filter((script) => whyNot(page, script) === undefined);
      if (stages[page] === undefined) expect(open).toEqual([]);
      const unused = Object.keys(notRun[page] ?? {}).filter(
        (start) => !blocksOf(page).some((script) => script.startsWith(start)),
      );
      expect(unused, 'reasons for blocks that are not there').toEqual([]);
    },
  );
});

describe.skipIf(!hasTools).each(Object.entries(stages))('%s', (page, stage) => {
  const home = mkdtempSync(path.join(tmpdir(), 'postern-howto-'));
  let models: http.Server;
  let shell: Shell;
  let here = (script: string): string => script;

  beforeAll(async () => {
    models = await startModelServer();
    const port = await freePort();
    // A server that listens on TCP has an address with a port.
    const modelPort = (models.address() as AddressInfo).port;
    const rewrites: readonly (readonly [string, string])[] = [
      ['127.0.0.1:8080', `127.0.0.1:${port}`],
      ['127.0.0.1:11434', `127.0.0.1:${modelPort}`],
      ...(stage.rewrite ?? []),
    ];
    here = (script) =>
      rewrites.reduce(
        (text, [from, to]) => text.replaceAll(from, to.replaceAll('~', home)),
        script,
      );
    installIn(home);
    const state = path.join(home, 'state');
    mkdirSync(state, { mode: 0o700 });
    for (const [name, value] of [
      ['postern.hujson', stage.config],
      ['policy.hujson', stage.policy],
    ] as const)
      if (value !== undefined)
        writeFileSync(path.join(state, name), here(JSON.stringify(value)), { mode: 0o600 });
    shell = new Shell(home, port);
    await shell.run(`export POSTERN_STATE=${state}`);
    if (stage.up !== false) await shell.restart('postern up');
    if (stage.setup !== undefined) {
      const { status, output } = await shell.run(here(`( set -e\n${stage.setup}\n)`));
      expect(status, output).toBe(0);
    }
    if (stage.exports !== undefined) await shell.run(here(stage.exports));
  }, 60_000);

  afterAll(async () => {
    await shell.end();
    models.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 5 });
  });

  const scripts = blocksOf(page).filter((script) => whyNot(page, script) === undefined);
  test.each(scripts)(
    '%s',
    async (given) => {
      // A block is right when each of its commands is; variables of a page live on.
      const script = here(stage.change?.(given) ?? given);
      const { status, output } = await shell.run(
        `FAILED=0; trap 'FAILED=$?' ERR\n${script}\ntrap - ERR; (exit $FAILED)`,
      );
      expect(status, output).toBe(0);
    },
    120_000,
  );
});

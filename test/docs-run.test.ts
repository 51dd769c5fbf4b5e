import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { judgeOperator } from '@postern/core/identity';
import { createFactsReader } from '@postern/server/adapters/identity-local';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

/** Pages whose own commands are run in order, in one shell each, against a state folder and a model server of the test. */

const root = path.resolve(import.meta.dirname, '..');
const pages = ['docs/tutorial/first-gateway.md', 'docs/howto/policy.md'];

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

/** A model server as far as the tutorial needs one. */
function startModelServer(): Promise<http.Server> {
  const server = http.createServer((request, response) => {
    request.resume();
    response.setHeader('content-type', 'application/json');
    const message = { role: 'assistant', content: 'Hello.' };
    const answer = {
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: 'llama3.2',
      choices: [{ index: 0, message, finish_reason: 'stop' }],
      usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
    };
    const list = { object: 'list', data: [{ id: 'llama3.2', object: 'model' }] };
    response.end(JSON.stringify(request.method === 'GET' ? list : answer));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      // A server that listens on TCP has an address with a port.
      const found = (server.address() as AddressInfo).port;
      server.close(() => resolve(found));
    });
  });
}

/** How long the page's own processes may take to end by themselves. */
const orderMsMax = 5_000;

/** One bash for the whole page, so that variables live on from block to block. */
class Shell {
  readonly #bash: ChildProcess;
  readonly #port: number;
  #output = '';
  #wake = (): void => undefined;

  constructor(home: string, port: number) {
    this.#port = port;
    const env = {
      HOME: home,
      PATH: `${home}:${process.env['PATH'] ?? ''}`,
      PORT: String(port),
      POSTERN_ADMIN_ADDR: '127.0.0.1:0',
    };
    // A group of its own, so that nothing that the page starts outlives the test.
    this.#bash = spawn('bash', ['--noprofile', '--norc'], { cwd: home, env, detached: true });
    for (const stream of [this.#bash.stdout, this.#bash.stderr]) {
      stream?.setEncoding('utf8');
      stream?.on('data', (piece: string) => {
        this.#output += piece;
        this.#wake();
      });
    }
  }

  /** Runs a script and gives what it printed with the exit status of its last command. */
  async run(script: string): Promise<{ readonly status: number; readonly output: string }> {
    this.#output = '';
    this.#bash.stdin?.write(`${script}\nstatus=$?; echo; echo "@ended $status"\n`);
    for (;;) {
      const ended = /\n@ended (?<status>\d+)\n/.exec(this.#output);
      if (ended !== null) return { status: Number(ended.groups?.['status']), output: this.#output };
      // oxlint-disable-next-line no-await-in-loop -- waits for more output
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Starts a script beside the others; the one before is ended first, as Ctrl-C does. */
  async restart(script: string): Promise<void> {
    const background = [
      'if [ -n "$UP" ]; then kill -INT "$UP"; wait "$UP"; fi',
      // Asynchronous commands of a shell ignore SIGINT unless it is restored.
      `(trap - INT; exec ${script}) > ~/up.log 2>&1 &`,
      'UP=$!',
      `for _ in $(seq 150); do curl -fs 127.0.0.1:${this.#port}/health > /dev/null && break; sleep 0.05; done`,
    ].join('\n');
    await this.run(background);
  }

  async end(): Promise<void> {
    const inOrder = this.run('if [ -n "$UP" ]; then kill -TERM "$UP"; wait "$UP"; fi');
    await Promise.race([inOrder, sleep(orderMsMax)]);
    if (this.#bash.pid !== undefined) process.kill(-this.#bash.pid, 'SIGKILL');
  }
}

function patternOf(line: string): RegExp {
  const parts = line.split('…').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(parts.join('[^\\n]*'), 'i');
}

/** A `postern` on the path of the page's shell. */
function installIn(home: string): void {
  const shim = path.join(home, 'postern');
  const bin = path.join(root, 'packages/postern/bin/postern.js');
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`);
  chmodSync(shim, 0o755);
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
    rmSync(home, { recursive: true, force: true });
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

/** What the tests of pages share: a shell in which a page's commands are run, a model server, a `postern` on the path. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const root = path.resolve(import.meta.dirname, '../..');

/** A model server as far as the tutorial needs one. */
export function startModelServer(): Promise<http.Server> {
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

/** How long the page's own processes may take to end by themselves. */
const orderMsMax = 5_000;

/** One bash for the whole page, so that variables live on from block to block. */
export class Shell {
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
    this.#bash.on('exit', (code) => {
      this.#output += `\nthe shell ended\n@ended ${code ?? 255}\n`;
      this.#wake();
    });
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
      `for _ in $(seq 600); do curl -fs 127.0.0.1:${this.#port}/health > /dev/null && break; sleep 0.05; done`,
    ].join('\n');
    await this.run(background);
  }

  async end(): Promise<void> {
    const inOrder = this.run('if [ -n "$UP" ]; then kill -TERM "$UP"; wait "$UP"; fi');
    await Promise.race([inOrder, sleep(orderMsMax)]);
    const { pid, exitCode, signalCode } = this.#bash;
    if (pid === undefined) return;
    const ended = exitCode ?? signalCode ?? once(this.#bash, 'exit');
    process.kill(-pid, 'SIGKILL');
    await ended;
  }
}

/** A `postern` on the path of the page's shell. */
export function installIn(home: string): void {
  const shim = path.join(home, 'postern');
  const bin = path.join(root, 'packages/postern/bin/postern.js');
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${bin}' "$@"\n`);
  chmodSync(shim, 0o755);
}

import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import path from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { newFolder } from './process.ts';

const main = path.resolve(import.meta.dirname, '../../packages/postern/src/main.ts');

/** The descriptor of a listening server: what a service manager hands over. */
function descriptorOf(server: object): number {
  // Node shows the descriptor of a handle to nobody else; a service manager has it by itself.
  return (server as { _handle: { fd: number } })._handle.fd;
}

test('serves on the socket that a service manager opened, and opens none of its own', async () => {
  const held = createServer();
  await new Promise<void>((resolve) => {
    held.listen(0, '127.0.0.1', resolve);
  });
  const address = held.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const state = await newFolder();
  // LISTEN_PID is the process's own: the shell becomes it.
  const script = 'LISTEN_PID=$$ exec "$NODE" "$MAIN" up --log json';
  const child = spawn('sh', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe', descriptorOf(held)],
    env: {
      PATH: process.env['PATH'],
      NODE: process.execPath,
      MAIN: main,
      POSTERN_STATE: state,
      LISTEN_FDS: '1',
      LISTEN_FDNAMES: 'gateway',
    },
  });
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => {
    said += piece.toString();
  });
  const ended = new Promise<number | null>((resolve) => {
    child.on('exit', resolve);
  });
  try {
    await expect.poll(() => said, { timeout: 15_000 }).toContain(`127.0.0.1:${port}`);
    expect(said.match(/^ *gateway /gmu)).toHaveLength(1);
    // Only now is nobody else left who could answer.
    held.close();
    const answer = await fetch(`http://127.0.0.1:${port}/health`);
    expect(await answer.text()).toBe('{"status":"ok"}');
  } finally {
    child.kill('SIGTERM');
  }
  expect(await ended).toBe(0);
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import process from 'node:process';

const folder = path.resolve(import.meta.dirname, '../../node_modules/.cache/postern-fault');

/**
 * The environment for the many short lives of a child. Compiling the sources would be more than half of each, and who is
 * killed leaves nothing compiled behind: one life in a folder of its own ends in order before, by SIGTERM.
 */
export async function compiledFor(child: string): Promise<Record<string, string | undefined>> {
  const env = { ...process.env, NODE_COMPILE_CACHE: folder };
  const work = await mkdtemp(path.join(tmpdir(), 'postern-compile-'));
  try {
    const args = [child, path.join(work, 'state'), path.join(work, 'more')];
    const life = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(life, 'exit');
    life.stdout.once('data', () => life.kill('SIGTERM'));
    await ended;
  } finally {
    await rm(work, { recursive: true, force: true, maxRetries: 5 });
  }
  return env;
}

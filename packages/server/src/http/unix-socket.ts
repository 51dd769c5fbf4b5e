import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { err, messageOf, ok, type Result } from '@postern/core/base';
import { socketOwner } from './busy-port.ts';
import type { ListenProblem } from './listener.ts';

/** `sun_path` of Linux without its final NUL. */
const pathBytesMax = 107;
const probeMs = 1_000;
const groupOrOthersWrite = 0o022;

/** Removes the socket file, if it is still ours. */
export type Unlink = () => Promise<void>;

/**
 * Binds in a folder that nobody else can enter, sets the mode there, and only then moves the socket to its place:
 * at no moment may anybody connect whom the mode does not allow.
 */
export async function listenUnix(
  server: Server,
  path: string,
  mode: number,
): Promise<Result<Unlink, ListenProblem>> {
  const folder = dirname(path);
  const ready = (await folderProblem(folder)) ?? (await placeProblem(path));
  if (ready !== undefined) return err(ready);
  const nest = await mkdtemp(join(folder, '.s'));
  const hidden = join(nest, 's');
  try {
    if (Math.max(Buffer.byteLength(hidden), Buffer.byteLength(path)) > pathBytesMax) {
      return err({ kind: 'other', message: `the socket path ${path} is too long for the system` });
    }
    await bound(server, hidden);
    await chmod(hidden, mode);
    const { ino } = await lstat(hidden);
    await rename(hidden, path);
    return ok(() => unlinkOwn(path, ino));
  } catch (cause) {
    server.close();
    return err({ kind: 'denied', message: `cannot listen on ${path}: ${messageOf(cause)}` });
  } finally {
    await rm(nest, { recursive: true, force: true });
  }
}

async function folderProblem(folder: string): Promise<ListenProblem | undefined> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const { mode } = await lstat(folder);
    if ((mode & groupOrOthersWrite) === 0) return undefined;
    const message = `the folder ${folder} is writable for others; run: chmod go-w ${folder}`;
    return { kind: 'denied', message };
  } catch (cause) {
    return { kind: 'denied', message: `cannot use the folder ${folder}: ${messageOf(cause)}` };
  }
}

async function placeProblem(path: string): Promise<ListenProblem | undefined> {
  const there = await lstat(path).catch(() => undefined);
  if (there === undefined) return undefined;
  if (!there.isSocket()) {
    return { kind: 'other', message: `${path} exists and is no socket; move it away` };
  }
  if (!(await answers(path))) return undefined;
  const owner = (await socketOwner(path)) ?? 'another process';
  return { kind: 'busy', message: `the socket ${path} is in use by ${owner}` };
}

/** Somebody accepts there. A socket file whose process is gone refuses. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    const settle = (alive: boolean): void => {
      clearTimeout(timer);
      probe.destroy();
      resolve(alive);
    };
    // A full backlog hangs: its process lives.
    const timer = setTimeout(() => settle(true), probeMs);
    probe.once('connect', () => settle(true));
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      settle(cause.code !== 'ECONNREFUSED' && cause.code !== 'ENOENT');
    });
  });
}

function bound(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function unlinkOwn(path: string, ino: number): Promise<void> {
  const there = await lstat(path).catch(() => undefined);
  if (there?.ino === ino) await rm(path, { force: true });
}

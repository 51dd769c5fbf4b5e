import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import process from 'node:process';
import { Fault } from '@postern/core/base';

const fileBytesMax = 65_536;
const othersBits = 0o077;

export async function makeFolder(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
}

/**
 * Writes a file that must not be there yet; false where it is. It appears whole and durable or not at all: a crash in the
 * middle leaves only a file that nobody reads.
 */
export async function writeNew(dir: string, name: string, text: string): Promise<boolean> {
  const draft = `${dir}/.${randomUUID()}`;
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(draft, `${dir}/${name}`);
  } catch (cause) {
    if (isCode(cause, 'EEXIST')) return false;
    throw cause;
  } finally {
    await rm(draft, { force: true });
  }
  await syncFolder(dir);
  return true;
}

/** The text of a file of ours; undefined where there is none. */
export async function readOwn(file: string): Promise<string | undefined> {
  try {
    const { mode, size } = await stat(file);
    if (process.platform !== 'win32' && (mode & othersBits) !== 0) {
      throw new Fault(`${file}: others may read it: chmod 600 ${file}, and make new keys`);
    }
    if (size > fileBytesMax) throw new Fault(`${file}: larger than ${fileBytesMax} bytes`);
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (isCode(cause, 'ENOENT')) return undefined;
    throw cause;
  }
}

async function syncFolder(dir: string): Promise<void> {
  // Windows has no such call for folders.
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export function isCode(cause: unknown, code: string): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === code;
}

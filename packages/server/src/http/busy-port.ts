import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import process from 'node:process';

const listening = '0A';
/** Enough for any machine; a scan of /proc must end. */
const processesMax = 20_000;

/** Who listens on a TCP port, as `name (pid 123)`; undefined where the system does not tell. Linux only. */
export async function portOwner(port: number): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = new Set<string>();
  for (const table of await Promise.all([readTable('tcp'), readTable('tcp6')])) {
    for (const line of table.split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/);
      const [, local, , state, , , , , , inode] = columns;
      if (state === listening && local?.endsWith(`:${hexPort}`) && inode !== undefined) {
        inodes.add(`socket:[${inode}]`);
      }
    }
  }
  return await holderOf(inodes);
}

/** Who holds a bound unix socket of this path. */
export async function socketOwner(path: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return undefined;
  const inodes = new Set<string>();
  for (const line of (await readTable('unix')).split('\n').slice(1)) {
    const columns = line.trim().split(/\s+/);
    const inode = columns[6];
    if (columns[7] === path && inode !== undefined) inodes.add(`socket:[${inode}]`);
  }
  return await holderOf(inodes);
}

async function readTable(name: string): Promise<string> {
  try {
    return await readFile(`/proc/net/${name}`, 'utf8');
  } catch {
    return '';
  }
}

async function holderOf(inodes: ReadonlySet<string>): Promise<string | undefined> {
  if (inodes.size === 0) return undefined;
  const entries = await readdir('/proc').catch(() => []);
  const pids = entries.filter((name) => /^[0-9]+$/.test(name)).slice(0, processesMax);
  const found = await Promise.all(pids.map((pid) => holds(pid, inodes)));
  const pid = found.find((one) => one !== undefined);
  if (pid === undefined) return undefined;
  return `${await programOf(pid)} (pid ${pid})`;
}

/** The program as it was called: the thread name that the kernel keeps says little for interpreters. */
async function programOf(pid: string): Promise<string> {
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const [program] = commandLine.split('\0');
  return program === undefined || program === '' ? 'a process' : basename(program);
}

/** Files of other users cannot be read; their sockets then have no known owner. */
async function holds(pid: string, inodes: ReadonlySet<string>): Promise<string | undefined> {
  const folder = `/proc/${pid}/fd`;
  const descriptors = await readdir(folder).catch(() => []);
  const links = await Promise.all(
    descriptors.map((name) => readlink(`${folder}/${name}`).catch(() => '')),
  );
  return links.some((link) => inodes.has(link)) ? pid : undefined;
}

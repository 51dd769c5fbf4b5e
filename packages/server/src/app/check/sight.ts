import { execFile } from 'node:child_process';
import { lstat, readdir, readFile, readlink, statfs } from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';
import { err, messageOf, ok } from '@postern/core/base';
import type { LocalFacts } from '../../adapters/identity-serve/index.ts';
import { askLocalFacts, findLocalApi } from '../../adapters/identity-serve/index.ts';
import type { FileFacts, Known } from '../../ops/index.ts';
import { resolveHere } from './resolve.ts';

/**
 * What can be seen of the machine, as the files and programs say it. Readers of it know what it means; this is all
 * that stands between them and the machine, so that a test can show them another one.
 */
export interface Sight {
  readonly readText: (file: string) => Promise<Known<string>>;
  /** Everything below a folder, itself included, with its mode bits. */
  readonly modesBelow: (folder: string) => Promise<Known<readonly FileFacts[]>>;
  /** Inodes of the sockets that this process holds. */
  readonly ownInodes: () => Promise<Known<ReadonlySet<string>>>;
  /** What a program prints; no shell. */
  readonly run: (command: readonly [string, ...string[]]) => Promise<Known<string>>;
  readonly resolve: (host: string) => Promise<Known<readonly string[]>>;
  readonly space: (
    folder: string,
  ) => Promise<Known<{ readonly freeBytes: number; readonly totalBytes: number }>>;
  /** The tailscaled of this machine; undefined where there is none. */
  readonly daemon: () => Promise<Known<LocalFacts | undefined>>;
}

/** Files of one state folder that are looked at; content of years is more, and has the same modes. */
const filesMax = 2_000;
const runMsMax = 5_000;
const outputBytesMax = 4 * 1_048_576;

export function createSight(env: Readonly<Record<string, string | undefined>>): Sight {
  return {
    readText: async (file) => tried(() => readFile(file, 'utf8')),
    modesBelow,
    ownInodes,
    run,
    resolve: (host) => resolveHere(host),
    space: (folder) =>
      tried(async () => {
        const { bavail, blocks, bsize } = await statfs(folder);
        return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
      }),
    daemon: async () => {
      const place = await findLocalApi(process.platform, env);
      return place === undefined ? ok(undefined) : askLocalFacts(place);
    },
  };
}

async function modesBelow(folder: string): Promise<Known<readonly FileFacts[]>> {
  return tried(async () => {
    const below = await readdir(folder, { recursive: true });
    const files = ['', ...below].slice(0, filesMax).map((name) => path.join(folder, name));
    const facts = await Promise.all(
      files.map(async (file): Promise<FileFacts[]> => {
        const found = await lstat(file).catch(() => undefined);
        // A link has no mode of its own, and what is gone again was nobody's to read.
        if (found === undefined || found.isSymbolicLink()) return [];
        return [{ file, mode: found.mode, isFolder: found.isDirectory() }];
      }),
    );
    return facts.flat();
  });
}

async function ownInodes(): Promise<Known<ReadonlySet<string>>> {
  if (process.platform !== 'linux') return err('only Linux tells which sockets a process holds');
  return tried(async () => {
    const folder = '/proc/self/fd';
    const names = await readdir(folder);
    const links = await Promise.all(
      names.map((name) => readlink(path.join(folder, name)).catch(() => '')),
    );
    return new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  });
}

function run([program, ...args]: readonly [string, ...string[]]): Promise<Known<string>> {
  return new Promise((resolve) => {
    const options = { timeout: runMsMax, maxBuffer: outputBytesMax, windowsHide: true };
    execFile(program, args, options, (fault, stdout, stderr) => {
      if (fault === null) return resolve(ok(stdout));
      const why = stderr.trim().split('\n', 1)[0] ?? '';
      resolve(err(`${program}: ${why === '' ? (fault.code ?? fault.message) : why}`));
    });
  });
}

async function tried<T>(work: () => Promise<T>): Promise<Known<T>> {
  try {
    return ok(await work());
  } catch (cause) {
    return err(messageOf(cause));
  }
}
